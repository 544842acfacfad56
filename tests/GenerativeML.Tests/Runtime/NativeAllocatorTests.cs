namespace GenerativeML.Tests;

/// <summary>The allocator that tensors come from.</summary>
[TestClass]
public sealed class NativeAllocatorTests
{
    [TestMethod]
    [DataRow("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4.5.16", "tcmalloc")]
    [DataRow("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "jemalloc")]
    [DataRow("/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.1", "mimalloc")]
    [DataRow("/usr/lib/x86_64-linux-gnu/libc.so.6", "glibc")]
    [DataRow("/lib/ld-musl-x86_64.so.1", "musl")]
    [DataRow("/opt/libhoard.so", "libhoard.so")]
    public void An_allocator_is_known_by_its_file(string path, string name) =>
        Assert.AreEqual(name, NativeAllocator.NameOf(path));

    [TestMethod]
    public void An_address_belongs_to_the_file_that_is_mapped_there()
    {
        string[] maps =
        [
            "7f00-8000 r--p 00000000 08:01 1    /usr/lib/libc.so.6",
            "8000-9000 r-xp 00001000 08:01 1    /usr/lib/libjemalloc.so.2",
            "a000-b000 rw-p 00000000 00:00 0 ",
        ];
        Assert.AreEqual("/usr/lib/libc.so.6", NativeAllocator.FileAt(0x7fff, maps));
        Assert.AreEqual("/usr/lib/libjemalloc.so.2", NativeAllocator.FileAt(0x8000, maps));
        Assert.IsNull(NativeAllocator.FileAt(0x9000, maps));
        Assert.IsNull(NativeAllocator.FileAt(0xa800, maps), "memory that belongs to no file");
    }

    [TestMethod]
    public void A_process_knows_its_own()
    {
        string? preloaded = Environment.GetEnvironmentVariable("LD_PRELOAD");
        string? name = NativeAllocator.Name();
        if (!OperatingSystem.IsLinux())
            Assert.IsNull(name);
        else if (string.IsNullOrEmpty(preloaded))
            Assert.IsTrue(name is "glibc" or "musl", name);
        else
            Assert.IsNotNull(name);
    }
}
