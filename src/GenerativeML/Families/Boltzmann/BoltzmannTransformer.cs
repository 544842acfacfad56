using TorchSharp;

namespace GenerativeML;

/// <summary>The logarithm of a partition function, in nats, and its standard error: zero where it is exact.</summary>
public readonly record struct LogPartition(double Value, double StandardError);

/// <summary>A network with a partition function.</summary>
internal interface IBoltzmannMachine
{
    /// <summary>Units whose states have to be enumerated for the exact one.</summary>
    int EnumeratedUnits { get; }

    /// <summary>The exact one.</summary>
    double LogPartition(Scope<TorchTensor> w);

    /// <summary>Its estimate by annealed importance sampling.</summary>
    LogPartition LogPartition(Scope<TorchTensor> w, int chains, int temperatures, SeededRandom random);
}

/// <summary>
/// A trained Boltzmann machine as a step of a pipeline: scores rows by their free energy, encodes and generates them.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class BoltzmannTransformer : VectorGenerator
{
    private const int MostUnits = 24;

    internal BoltzmannTransformer(VectorModelState state)
        : base(state)
    {
    }

    /// <summary>
    /// The exact logarithm of the partition function, in nats: the log-likelihood of a row is −<c>Score</c> − log Z.
    /// Takes TorchSharp, and twice as long for each hidden unit, or of a machine whose visible units are joined for each
    /// unit.
    /// </summary>
    /// <exception cref="InvalidOperationException">There are more than 24 of them.</exception>
    public LogPartition ExactLogPartition() => Machine.EnumeratedUnits <= MostUnits
        ? Compute((machine, w, _) => new(machine.LogPartition(w), 0))
        : throw new InvalidOperationException(
            $"The model has {Machine.EnumeratedUnits} units whose states would be enumerated, and at most {MostUnits} can be: "
            + $"{nameof(EstimateLogPartition)} gives an estimate.");

    /// <summary>
    /// The same, estimated by annealed importance sampling (Salakhutdinov and Murray 2008): chains that begin as
    /// independent features are led to the model through intermediate distributions. Takes TorchSharp.
    /// </summary>
    /// <param name="chains">Chains; the standard error is told by how they differ. At least 2.</param>
    /// <param name="temperatures">Steps of each; more bring the estimate closer. At least 1.</param>
    /// <param name="seed">Other seeds give other chains.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are too few chains or temperatures.</exception>
    public LogPartition EstimateLogPartition(int chains = 100, int temperatures = 1000, int seed = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(chains, 2);
        ArgumentOutOfRangeException.ThrowIfLessThan(temperatures, 1);
        return Compute((machine, w, device) => machine.LogPartition(
            w, chains, temperatures, new SeededRandom(device, SplitMix64.Derive(seed, RandomPurpose.Scoring))));
    }

    /// <summary>
    /// The weight of the model in intermediate distribution number <paramref name="k"/>: denser towards the model, where
    /// its rows differ most from one to the next.
    /// </summary>
    internal static float InverseTemperature(int k, int temperatures) => (float)(1 - Math.Pow(1 - k / (double)temperatures, 2));

    /// <summary>The estimate by the logarithms of the chains' weights, and of the partition function they begin with.</summary>
    internal static LogPartition Mean(torch.Tensor weights, double first)
    {
        double[] logs = [.. weights.cpu().data<double>()];
        double most = logs.Max(), mean = logs.Average(l => Math.Exp(l - most));
        double variance = logs.Sum(l => Math.Pow(Math.Exp(l - most) - mean, 2)) / (logs.Length - 1);
        return new(first + most + Math.Log(mean), Math.Sqrt(variance / logs.Length) / mean);
    }

    private IBoltzmannMachine Machine => (IBoltzmannMachine)State.Model.Network;

    private LogPartition Compute(Func<IBoltzmannMachine, Scope<TorchTensor>, torch.Device, LogPartition> compute)
    {
        torch.Device device = TorchRuntime.Resolve(State.Model.Device, fallbackToCpu: true);
        using var engine = new BoltzmannEngine(State.Model.Weights, device);
        LogPartition result = default;
        engine.Run(w => result = compute(Machine, w, device));
        return result;
    }
}

/// <summary>What computes with weights beside a forward pass.</summary>
internal sealed class BoltzmannEngine(HostWeights weights, torch.Device device) : TorchEngine(weights, device)
{
    public void Run(Action<Scope<TorchTensor>> action) => Compute(() => action(new TorchOps(Weights).Root));
}
