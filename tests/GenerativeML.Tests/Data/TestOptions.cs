namespace GenerativeML.Tests;

/// <summary>Options of no family: those that every trainer has.</summary>
internal sealed record TestOptions : TrainingOptions;
