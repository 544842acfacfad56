namespace GenerativeML.Torch.Tests;

[TestClass]
public sealed class WorkTeamTests
{
    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(5)]
    public void Shares_are_everything_once_and_groups_stay_together(int size)
    {
        using var team = new WorkTeam(size);
        foreach ((int count, int group) in new[] { (0, 1), (1, 1), (100, 12), (24, 12), (7, 3) })
        {
            int next = 0;
            for (int worker = 0; worker < size; worker++)
            {
                (int first, int end) = team.Share(count, worker, group);
                Assert.AreEqual(next, first);
                Assert.IsTrue(first == count || first % group == 0);
                next = end;
            }
            Assert.AreEqual(count, next);
        }
    }

    [TestMethod]
    public void Who_waits_sees_what_the_others_did_before()
    {
        using var team = new WorkTeam(4);
        var written = new int[4];
        var seen = new int[4];
        for (int round = 1; round <= 200; round++)
        {
            team.Run(worker =>
            {
                written[worker] = round;
                team.Wait();
                seen[worker] = written.Sum();
                team.Wait();
            });
            CollectionAssert.AreEqual(Enumerable.Repeat(4 * round, 4).ToArray(), seen);
        }
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(2)]
    public void An_exception_of_one_is_thrown_and_nobody_waits_for_it(int failing)
    {
        using var team = new WorkTeam(3);
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(() => team.Run(worker =>
        {
            if (worker == failing)
                throw new InvalidOperationException("That was the one.");
            team.Wait();
            team.Wait();
        }));
        Assert.AreEqual("That was the one.", error.Message);
    }
}
