namespace GenerativeML.Tests;

/// <summary>A process that ends while one of its threads computes.</summary>
[TestClass]
public sealed class RunningComputationsTests
{
    [TestMethod]
    [DataRow("training")]
    [DataRow("starting")]
    [DataRow("scoring")]
    [DataRow("generating")]
    public void A_process_ends_well_wherever_a_background_thread_is(string work)
    {
        for (int milliseconds = 0; milliseconds < 3; milliseconds++)
        {
            (int code, _, string errors) = WorkerProcess.Run([], "leave", $"{milliseconds * 7}", work);
            Assert.AreEqual(0, code, $"after {milliseconds * 7} ms: {errors}");
            Assert.AreEqual("", errors);
        }
    }

    [TestMethod]
    public void A_process_waits_for_a_computation_though_one_inside_it_is_done()
    {
        (int code, string[] lines, string errors) = WorkerProcess.Run([], "nested");
        Assert.AreEqual((0, ""), (code, errors));
        Assert.Contains("computed", lines);
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void Signals_do_not_reach_into_the_training_of_recurrent_cells()
    {
        (int code, _, string errors) = WorkerProcess.Run([("OMP_NUM_THREADS", "1")], "recur");
        Assert.AreEqual((0, ""), (code, errors));
    }
}
