using System.Net;
using System.Net.NetworkInformation;

namespace Lab.EndToEnd.Tests.Support;

/// <summary>Ports for processes that must come back on the port that they had.</summary>
internal static class FreePorts
{
    // Below those that the system gives to outgoing connections, one of which could take the port while its process is away.
    private const int First = 20_000, End = 30_000;

    /// <summary>Distinct ports that nothing listens on.</summary>
    public static int[] Take(int count)
    {
        HashSet<int> taken = [.. IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners().Select(listener => listener.Port)];
        int[] free = [.. Enumerable.Range(First, End - First).Where(port => !taken.Contains(port))];
        // Anywhere, so that two runs of the tests at once do not take the same.
        Random.Shared.Shuffle(free);
        return free[..count];
    }

    /// <summary>The address of a port of this machine.</summary>
    public static string Url(int port) => $"http://{IPAddress.Loopback}:{port}";
}
