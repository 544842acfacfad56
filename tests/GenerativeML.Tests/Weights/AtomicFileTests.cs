namespace GenerativeML.Tests.Weights;

[TestClass]
public sealed class AtomicFileTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    private string FilePath => Path.Combine(_folder, "weights.safetensors");

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void A_new_file_takes_the_place_of_the_old_one()
    {
        File.WriteAllText(FilePath, "an older and longer content");

        AtomicFile.Write(FilePath, stream => stream.Write("new"u8));

        Assert.AreEqual("new", File.ReadAllText(FilePath));
        Assert.HasCount(1, Directory.GetFiles(_folder));
    }

    [TestMethod]
    public void A_write_that_fails_leaves_the_old_file_and_nothing_else()
    {
        File.WriteAllText(FilePath, "old");

        Assert.ThrowsExactly<InvalidOperationException>(() => AtomicFile.Write(FilePath, stream =>
        {
            stream.Write("half of the new"u8);
            throw new InvalidOperationException();
        }));

        Assert.AreEqual("old", File.ReadAllText(FilePath));
        Assert.HasCount(1, Directory.GetFiles(_folder));
    }

    [TestMethod]
    public void The_old_file_is_whole_until_the_new_one_is()
    {
        File.WriteAllText(FilePath, "old");

        AtomicFile.Write(FilePath, stream =>
        {
            stream.Write("new"u8);
            stream.Flush();
            Assert.AreEqual("old", File.ReadAllText(FilePath));
        });
    }

    [TestMethod]
    public void What_a_killed_process_left_is_replaced()
    {
        File.WriteAllText(FilePath + AtomicFile.TemporarySuffix, "left over, and longer than what follows");

        AtomicFile.Write(FilePath, stream => stream.Write("new"u8));

        Assert.AreEqual("new", File.ReadAllText(FilePath));
        Assert.HasCount(1, Directory.GetFiles(_folder));
    }

    [TestMethod]
    public void A_second_writer_of_the_same_file_is_told_and_does_no_harm()
    {
        AtomicFile.Write(FilePath, stream =>
        {
            stream.Write("first"u8);
            Assert.ThrowsExactly<IOException>(() => AtomicFile.Write(FilePath, second => second.Write("second"u8)));
        });

        Assert.AreEqual("first", File.ReadAllText(FilePath));
    }
}
