using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace GenerativeML.Tests;

/// <summary>Runs the programs of <c>tests/peers</c> with a Python that has torch.</summary>
internal static class TorchPeer
{
    private static readonly PythonPeer s_python = new("torch");

    /// <summary>
    /// Runs a program and gives what it printed; the test is skipped where there is no Python with torch.
    /// </summary>
    public static string Run(string program, params string[] arguments)
    {
        if (!s_python.IsThere)
            throw new AssertInconclusiveException("No Python with torch: install python3-torch, or set GENERATIVEML_PYTHON.");
        if (PythonPeer.Folder() is null)
            throw new AssertInconclusiveException($"No folder tests/peers above {AppContext.BaseDirectory}.");
        return s_python.Run(program, arguments);
    }
}
