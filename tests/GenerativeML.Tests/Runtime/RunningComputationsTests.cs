namespace GenerativeML.Tests;

/// <summary>A process that ends while one of its threads trains.</summary>
[TestClass]
public sealed class RunningComputationsTests
{
    [TestMethod]
    public void A_process_ends_well_wherever_a_background_thread_is_in_a_step()
    {
        for (int milliseconds = 0; milliseconds < 5; milliseconds++)
        {
            (int code, _, string errors) = WorkerProcess.Run([], "leave", $"{milliseconds * 7}");
            Assert.AreEqual(0, code, $"after {milliseconds * 7} ms: {errors}");
            Assert.AreEqual("", errors);
        }
    }

    [TestMethod]
    public void Computations_inside_others_count_once()
    {
        using IDisposable outer = RunningComputations.Enter();
        using (RunningComputations.Enter())
            RunningComputations.StopIfExiting(); // this process is not ending
        RunningComputations.StopIfExiting();
    }
}
