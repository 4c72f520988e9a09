namespace Lab.ServiceDefaults.Errors;

/// <summary>What is wrong with one field of a request.</summary>
/// <param name="Field">The field's path as in the proto: "config.model.d_head".</param>
/// <param name="Description">What is wrong with it.</param>
public readonly record struct FieldViolation(string Field, string Description);
