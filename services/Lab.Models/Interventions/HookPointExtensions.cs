namespace Lab.Models.Interventions;

/// <summary>What can be selected at a hook.</summary>
internal static class HookPointExtensions
{
    extension(HookPoint hook)
    {
        /// <summary>Whether it is [batch, head, query_pos, key_pos]: attention scores or probabilities.</summary>
        public bool IsAttention => hook.Dimensions.Contains(HookDimension.KeyPos);

        /// <summary>Whether it has attention heads.</summary>
        public bool HasHeads => hook.Dimensions.Contains(HookDimension.Head);

        /// <summary>The number of heads.</summary>
        public long HeadCount => hook.Dimensions.Zip(hook.Shape).First(dimension => dimension.First == HookDimension.Head).Second;
    }
}
