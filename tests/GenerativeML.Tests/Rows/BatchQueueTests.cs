using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;

namespace GenerativeML.Tests.Rows;

[TestClass]
public sealed class BatchQueueTests
{
    [TestMethod]
    public void Batches_are_taken_in_order_each_computed_once_and_ever_more_are_under_way()
    {
        var computed = new ConcurrentQueue<(int Place, int Rows)>();
        using var queue = new BatchQueue(4, (place, rows) => computed.Enqueue((place, rows)));
        int[] added = new int[50];
        int rows = 0;
        for (int taken = 0; taken < added.Length; taken++)
        {
            int free = 0;
            for (; rows < added.Length && queue.FreePlace is int place; free++)
            {
                Assert.AreEqual(rows % 4, place);
                added[rows] = ++rows;
                queue.Add(rows);
            }
            if (rows < added.Length)
                Assert.AreEqual(taken switch { 0 => 1, 1 => 2, 2 => 3, _ => 1 }, free);
            Assert.AreEqual((taken % 4, taken + 1), queue.Take());
        }
        Assert.IsNull(queue.Take());
        CollectionAssert.AreEquivalent(added, computed.Select(c => c.Rows).ToArray());
    }

    [TestMethod]
    public void Errors_of_reading_and_of_computing_are_thrown_in_their_turn()
    {
        using var queue = new BatchQueue(2, (_, rows) =>
        {
            if (rows == 5)
                throw new TimeoutException();
        });
        queue.Add(1);
        Assert.AreEqual((0, 1), queue.Take());
        queue.Add(5);
        queue.Add(0, ExceptionDispatchInfo.Capture(new FormatException()));
        Assert.Throws<TimeoutException>(() => queue.Take());
        Assert.Throws<FormatException>(() => queue.Take());
        Assert.IsNull(queue.Take());
        queue.Add(7);
        Assert.AreEqual((1, 7), queue.Take());
    }

    [TestMethod]
    public void Who_leaves_waits_for_a_batch_that_is_being_computed_and_for_no_other()
    {
        if (Environment.ProcessorCount == 1)
            Assert.Inconclusive("There is no second processor to compute ahead on.");
        using var begun = new ManualResetEventSlim();
        using var go = new ManualResetEventSlim();
        int me = Environment.CurrentManagedThreadId, calls = 0;
        var queue = new BatchQueue(3, (_, _) =>
        {
            Interlocked.Increment(ref calls);
            if (Environment.CurrentManagedThreadId == me)
                return;
            begun.Set();
            go.Wait();
        });
        queue.Add(1);
        Assert.IsNotNull(queue.Take());
        queue.Add(2);
        Assert.IsTrue(begun.Wait(TimeSpan.FromMinutes(1)), "nobody computes ahead");
        var left = new Thread(queue.Dispose);
        left.Start();
        Assert.IsFalse(left.Join(50), "it did not wait");
        go.Set();
        Assert.IsTrue(left.Join(TimeSpan.FromMinutes(1)));
        queue.Dispose();
        Assert.AreEqual(2, calls);
    }
}
