using DataFiles;
using Microsoft.ML;
using WhatCausedIt;

namespace GenerativeML.Tests.Samples;

/// <summary>The sample's answers are those of its simulation.</summary>
[TestClass]
public sealed class DiagnosisTests
{
    private static readonly Dictionary<string, string> s_known = new() { ["Vibration"] = "high", ["Flow"] = "low" };
    private readonly string _path = Path.GetTempFileName();

    [TestCleanup]
    public void Clean() => File.Delete(_path);

    [TestMethod]
    public void The_truth_is_how_often_it_happens()
    {
        DelimitedFile table = Inspections();
        string[][] rows = [.. table.Texts().Where(row => s_known.All(e => row[table.ColumnOf(e.Key)] == e.Value))];
        Assert.IsGreaterThan(500, rows.Length);
        foreach (string column in table.Names.Except(s_known.Keys))
        {
            foreach ((string state, double truth) in Pump.Posterior(column, s_known))
                Assert.AreEqual(truth, rows.Count(row => row[table.ColumnOf(column)] == state) / (double)rows.Length, 0.06, $"{column} {state}");
        }
        Assert.AreEqual(0.15, Pump.Posterior("Filter", new Dictionary<string, string>())["clogged"], 1e-12);
    }

    [TestMethod]
    public void The_network_finds_links_and_causes()
    {
        var ml = new MLContext(1);
        TableFile table = Inspections();
        using BayesianNetworkTransformer network = ml.Generative.BayesianNetwork().Fit(table);
        List<Belief> beliefs = Diagnosis.Beliefs(network, Diagnosis.Condition(table, s_known), s_known.Keys);
        Assert.HasCount(11, beliefs); // of five columns
        foreach (Belief belief in beliefs)
            Assert.AreEqual(Pump.Posterior(belief.Column, s_known)[belief.State], belief.After, 0.03, $"{belief}");
        foreach ((string cause, string effect) in Pump.Edges)
            Assert.IsTrue(network.Network.Edges.Any(e => (e.Parent, e.Child) == (cause, effect) || (e.Child, e.Parent) == (cause, effect)));
    }

    [TestMethod]
    public void The_path_is_that_of_the_phases()
    {
        Reading[] readings = [.. Pump.Readings(5_000, seed: 2)];
        Assert.IsGreaterThan(0.95, Diagnosis.Agreement(Diagnosis.Path(new(1), readings), readings));
        Assert.IsLessThan(0.95, Diagnosis.Agreement([.. readings.Select(_ => "sound")], readings)); // or else it would say nothing
    }

    [TestMethod]
    public void Evidence_is_of_the_columns_kind()
    {
        File.WriteAllText(_path, "kind,size,on\na,1,true\nb,2,false\n");
        TableFile table = TableFile.Open(_path);
        Assert.AreEqual(
            "'kind' = 'a' and 'size' = 2 and 'on' = True",
            Diagnosis.Condition(table, new Dictionary<string, string> { ["kind"] = "a", ["size"] = "2.0", ["on"] = "True" }).ToString());
        foreach ((string column, string value) in new[] { ("size", "large"), ("colour", "red"), ("on", "perhaps") })
            Assert.ThrowsExactly<InvalidDataException>(() => Diagnosis.Condition(table, new Dictionary<string, string> { [column] = value }));
    }

    [TestMethod]
    public void Evidence_is_written_as_in_the_file()
    {
        File.WriteAllText(_path, "size;day\n1,5;31.1.2024\n2,5;1.2.2024\n");
        TableFile table = TableFile.Open(_path);
        Assert.AreEqual("'size' = 2.5", Diagnosis.Condition(table, new Dictionary<string, string> { ["size"] = "2,5" }).ToString());
        _ = Diagnosis.Condition(table, new Dictionary<string, string> { ["day"] = "31.1.2024" });
        Assert.ThrowsExactly<InvalidDataException>(() => Diagnosis.Condition(table, new Dictionary<string, string> { ["size"] = "2.5" }));
    }

    private DelimitedFile Inspections()
    {
        Pump.WriteInspections(_path, rows: 20_000, seed: 2);
        return DelimitedFile.Open(_path, new());
    }
}
