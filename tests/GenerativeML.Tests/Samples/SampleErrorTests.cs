namespace GenerativeML.Tests.Samples;

/// <summary>What the samples say of a table that nothing can be learned from: a line, and no stack.</summary>
[TestClass]
public sealed class SampleErrorTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory("genml-samples").FullName;

    [TestCleanup]
    public void Clean() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow("AnomalyDetection", "a,b\n1,2\n3,4\n5,6\n", "a detector needs at least 10")]
    [DataRow("SyntheticData", "a,b\n1,2\n", "A table is learned from two rows or more")]
    public void A_table_that_is_too_small_is_refused_in_one_line(string program, string table, string said)
    {
        string path = Path.Combine(_folder, "table.csv");
        File.WriteAllText(path, table);
        (int left, _, string errors) = TorchlessProcess.Run(
            AppContext.BaseDirectory, program + ".dll", "--data", path, "--out", _folder);
        Assert.AreEqual(2, left, errors);
        StringAssert.Contains(errors, said);
        Assert.DoesNotContain("   at ", errors);
    }
}
