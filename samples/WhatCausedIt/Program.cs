using System.CommandLine;
using System.Globalization;
using DataFiles;
using GenerativeML;
using Microsoft.ML;
using Spectre.Console;
using WhatCausedIt;

// Evidence in, causes out: a Bayesian network, learned from inspections of a pump, says what caused what was seen, and a
// hidden Markov model in which phase the pump was while it was read. Nobody told them; the simulation knows.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Option<FileInfo?> data = new("--data") { Description = "A table of yours: delimited text or Parquet. Default: a simulated pump's inspections." };
Option<string?> header = new("--header") { Description = "Whether the first row names the columns: yes or no. Default: told by types." };
header.AcceptOnlyFromAmong("yes", "no");
Option<string[]> evidence = new("--evidence")
{
    Description = "What is known: Column=value, as often as needed. Default for the pump: Vibration=high Flow=low.",
    AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [],
};
Option<int> seed = new("--seed") { Description = "Decides the simulation and the training.", DefaultValueFactory = _ => 1 };
Option<DirectoryInfo> folder = new("--out")
{
    Description = "Where the network's drawing and the inspections go.", DefaultValueFactory = _ => new("out"),
};
RootCommand root = new("Says what caused what was seen, and in which phase a pump was when.") { data, header, evidence, seed, folder };
root.SetAction(Diagnose);
try
{
    return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e) when (e.GetBaseException() is InvalidDataException or IOException or ArgumentException
    or InvalidOperationException)
{
    Console.Error.WriteLine(e.GetBaseException().Message); // ML.NET wraps what a file's rows throw; training refuses others
    return 2;
}

void Diagnose(ParseResult asked)
{
    if (Console.IsOutputRedirected)
        AnsiConsole.Profile.Width = 120;
    string target = Directory.CreateDirectory(asked.GetValue(folder)!.FullName).FullName;
    string? path = asked.GetValue(data)?.FullName;
    bool? hasHeader = asked.GetValue(header) is string named ? named == "yes" : null;
    Dictionary<string, string> known = Known(asked.GetValue(evidence)!);
    var ml = new MLContext(asked.GetValue(seed));
    if (path is not null)
    {
        Causes(ml, TableFile.Open(path, new() { HasHeader = hasHeader }), known, simulated: false, target);
        return;
    }
    path = Path.Combine(target, "inspections.csv");
    Pump.WriteInspections(path, rows: 20_000, asked.GetValue(seed));
    Causes(ml, TableFile.Open(path), known.Count > 0 ? known : Known(["Vibration=high", "Flow=low"]), simulated: true, target);
    Phases(ml, [.. Pump.Readings(5_000, asked.GetValue(seed))]);
}

static void Causes(MLContext ml, TableFile table, Dictionary<string, string> known, bool simulated, string target)
{
    foreach (string note in table.Notes)
        Console.WriteLine(note);
    RowCondition where = Diagnosis.Condition(table, known);
    using BayesianNetworkTransformer network = ml.Generative.BayesianNetwork().Fit(table);
    List<Belief> beliefs = Diagnosis.Beliefs(network, where, known.Keys);
    double[] truth = simulated ? [.. beliefs.Select(b => Pump.Posterior(b.Column, known)[b.State])] : [];
    Table shown = Titled($"What follows from {string.Join(", ", known.Select(e => $"{e.Key} = {e.Value}"))}")
        .AddColumns("column", "state").AddColumns(Right(["before", "after", .. simulated ? ["in truth"] : Array.Empty<string>()]));
    foreach ((int i, Belief belief) in beliefs.Index())
    {
        string column = i > 0 && beliefs[i - 1].Column == belief.Column ? "" : belief.Column;
        string[] row = [Markup.Escape(column), Markup.Escape(belief.State), $"{belief.Before:P1}", $"{belief.After:P1}"];
        shown.AddRow(simulated ? [.. row, $"{truth[i]:P1}"] : row);
    }
    AnsiConsole.Write(shown);
    Console.WriteLine("Most probable together: " + string.Join(
        ", ", network.MostProbable(where).Where(e => !known.ContainsKey(e.Key)).Select(e => $"{e.Key} {e.Value}")));
    if (simulated)
    {
        // Some arrows could as well point the other way: the data are the same.
        HashSet<(string, string)> links = [.. network.Network.Edges.SelectMany(e => new[] { (e.Parent, e.Child), (e.Child, e.Parent) })];
        int found = Pump.Edges.Count(links.Contains);
        Console.WriteLine($"Farthest from the truth: {beliefs.Zip(truth, (b, t) => Math.Abs(b.After - t)).Max():P1}. "
            + $"Of the simulation's {Pump.Edges.Count()} links {found} were found, and {links.Count / 2 - found} others.");
    }
    string drawing = Path.Combine(target, "network.svg");
    File.WriteAllText(drawing, network.Network.ToSvg());
    Console.WriteLine($"The network: {drawing}");
}

static void Phases(MLContext ml, Reading[] readings)
{
    string[] path = Diagnosis.Path(ml, readings);
    Table shown = Titled("The last phases by the readings").AddColumn("phase").AddColumns(Right("from", "to"));
    int[] starts = [.. Enumerable.Range(0, path.Length).Where(i => i == 0 || path[i] != path[i - 1]), path.Length];
    foreach ((int first, int next) in starts.Zip(starts.Skip(1)).TakeLast(8))
        shown.AddRow(path[first], $"{first + 1}", $"{next}");
    AnsiConsole.Write(shown);
    // The same normal distributions, but no phase says anything of the next.
    HiddenMarkovParameters forgetful = Pump.Truth with { TransitionProbabilities = [.. Pump.Phases.Select(_ => (double[])[0.6, 0.15, 0.25])] };
    double By(HiddenMarkovParameters model) => Diagnosis.Agreement(Diagnosis.Path(ml, readings, model), readings);
    Console.WriteLine(
        $"In {Diagnosis.Agreement(path, readings):P1} of {path.Length:N0} steps it was that phase; the simulation's own model "
        + $"finds {By(Pump.Truth):P1}, and readings one by one {By(forgetful):P1}.");
}

static Table Titled(string title) => new Table().Border(TableBorder.Simple).Title(Markup.Escape(title));

static TableColumn[] Right(params string[] names) => [.. names.Select(name => new TableColumn(name).RightAligned())];

static Dictionary<string, string> Known(string[] evidence) => evidence.Select(part => part.Split('=', 2)).ToDictionary(
    pair => pair[0].Trim(),
    pair => pair.Length == 2 ? pair[1].Trim() : throw new InvalidDataException($"'{pair[0]}' is no evidence: Column=value is expected."));
