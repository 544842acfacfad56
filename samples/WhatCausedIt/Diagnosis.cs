using DataFiles;
using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace WhatCausedIt;

/// <summary>How likely a state of a column is before and after evidence.</summary>
internal sealed record Belief(string Column, string State, double Before, double After);

/// <summary>What a network says of a table, and a hidden Markov model of readings.</summary>
internal static class Diagnosis
{
    /// <summary>Evidence as a condition, of the kind of its column, and written as in the file.</summary>
    /// <exception cref="InvalidDataException">There is no such column, or the value is not of its kind.</exception>
    public static RowCondition Condition(TableFile table, IReadOnlyDictionary<string, string> evidence)
    {
        var where = new RowCondition();
        foreach ((string name, string value) in evidence)
        {
            FileColumn column = table.Columns[table.ColumnOf(name)];
            DelimitedColumn rules = column as DelimitedColumn ?? new(column.Name, column.Type);
            where = column.Type switch
            {
                TextDataViewType => where.Equal(column.Name, value),
                BooleanDataViewType when bool.TryParse(value, out bool truth) => where.Equal(column.Name, truth),
                DateTimeDataViewType when ColumnInference.TryTime(value, rules.Formats, out DateTime time) => where.Equal(column.Name, time),
                NumberDataViewType when ColumnInference.TryNumber(value, rules.DecimalSign, out double number) => where.Equal(column.Name, number),
                _ => throw new InvalidDataException($"Column '{column.Name}' holds {column.Type}, and '{value}' is none."),
            };
        }
        return where;
    }

    /// <summary>
    /// Of each column that is not in the evidence, up to three states, the likeliest first; columns by how much the
    /// evidence says of them.
    /// </summary>
    public static List<Belief> Beliefs(BayesianNetworkTransformer network, RowCondition where, IEnumerable<string> known) =>
    [
        .. network.Network.Names.Except(known)
            .Select(column => (Column: column, Before: network.Query(column), After: network.Query(column, where)))
            .OrderByDescending(c => c.After.Sum(state => Math.Abs(state.Value - c.Before[state.Key])))
            .SelectMany(c => c.After.OrderByDescending(state => state.Value).Take(3)
                .Select(state => new Belief(c.Column, state.Key, c.Before[state.Key], state.Value))),
    ];

    /// <summary>
    /// The likeliest path of hidden states through readings, each state named by the phase that it mostly goes with.
    /// </summary>
    /// <param name="ml">The context, whose seed decides the start.</param>
    /// <param name="readings">The readings.</param>
    /// <param name="known">The model, where it is not to be learned.</param>
    public static string[] Path(MLContext ml, Reading[] readings, HiddenMarkovParameters? known = null)
    {
        IDataView series = ml.Data.LoadFromEnumerable(readings);
        using HiddenMarkovTransformer model = ml.Generative.HiddenMarkov(new()
        {
            States = Pump.Phases.Length, CovarianceType = CovarianceType.Diagonal, Parameters = known,
            Learned = known is null ? HiddenMarkovParts.All : HiddenMarkovParts.None,
        }).Fit(series);
        uint[] path = [.. model.Transform(series).GetColumn<uint>("State")];
        Dictionary<uint, string> names = path.Zip(readings).GroupBy(step => step.First).ToDictionary(
            state => state.Key, state => state.CountBy(step => step.Second.Phase).MaxBy(phase => phase.Value).Key);
        return [.. path.Select(state => names[state])];
    }

    /// <summary>The share of steps in which a path is in the phase of the readings.</summary>
    public static double Agreement(string[] path, Reading[] readings) =>
        path.Zip(readings).Count(step => step.First == step.Second.Phase) / (double)path.Length;
}
