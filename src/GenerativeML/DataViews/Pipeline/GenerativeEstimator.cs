using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>What all estimators of this package share: schema checks before any work, and logged training.</summary>
/// <typeparam name="TTransformer">What training makes.</typeparam>
public abstract class GenerativeEstimator<TTransformer> : IEstimator<TTransformer>
    where TTransformer : class, ITransformer
{
    private readonly IHost _host;
    private readonly TrainingOptions _options;

    private protected GenerativeEstimator(IHostEnvironment environment, string name, TrainingOptions options)
    {
        ArgumentNullException.ThrowIfNull(environment);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _host = environment.Register(name);
        _options = options;
    }

    /// <summary>Checks what is known of the columns that are read before there is any data.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is missing or of the wrong type.</exception>
    private protected abstract void CheckInput(SchemaShape inputSchema, string parameter);

    /// <summary>The columns that are added. A width above zero promises a vector; how wide, data tells.</summary>
    private protected abstract IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema);

    /// <summary>Checks the columns that are read, and trains on them.</summary>
    private protected abstract TTransformer Train(IDataView input, string parameter, TrainingContext context);

    /// <summary>Trains a model.</summary>
    /// <param name="input">The training rows.</param>
    /// <returns>The transformer that applies it. Dispose it when it is not needed: it holds device memory.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An input column is missing or of the wrong type.</exception>
    /// <exception cref="InvalidOperationException">
    /// There are no rows; or some hold NaN or infinity and the options say that this is an error; or torch cannot be
    /// used.
    /// </exception>
    /// <exception cref="OperationCanceledException">The options' token was cancelled.</exception>
    public TTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using IChannel channel = _host.Start("Training");
        Exchange? exchange = _options.Distributed?.Connect(); // before any work: it may be that it cannot
        if (_options.Distributed is null && DataPart.Launched is { Count: > 1 } started)
        {
            channel.Warning(
                MessageSensitivity.None,
                $"This is one of {started.Count} processes that were started together, and each trains a model of its own: set the "
                + $"option {nameof(TrainingOptions.Distributed)} to train one.");
        }
        bool isFirst = exchange is null or { IsFirst: true };
        try
        {
            return Train(input, nameof(input), new TrainingContext
            {
                Seed = _options.Seed ?? HostDefaults.Seed(_host),
                Device = HostDefaults.OfProcess(_options.Device ?? HostDefaults.Device(_host), exchange),
                FallbackToCpu = _options.FallbackToCpu ?? MLNetInternals.FallbackToCpuOf(_host),
                Progress = isFirst ? new LoggedProgress(channel, _options.Progress) : null,
                Warning = isFirst ? message => channel.Warning(MessageSensitivity.Schema, message) : null,
            });
        }
        catch (Exception e) when (exchange is not null && DistributedException.IsOwn(e))
        {
            exchange.Fail(e); // or the others would wait for this one
            throw;
        }
    }

    /// <summary>Says which columns the fitted transformer will add, before there is any data.</summary>
    /// <param name="inputSchema">What is known of the columns that come in.</param>
    /// <returns>Those columns and the added ones, with their annotations.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An input column is missing or of the wrong type.</exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        CheckInput(inputSchema, nameof(inputSchema));
        SchemaShape added = OutputAnnotations.Promise(PromisedColumns(inputSchema));
        return new SchemaShape(inputSchema.Where(c => added.All(a => a.Name != c.Name)).Concat(added));
    }
}

/// <summary>What the <c>MLContext</c> says where options say nothing.</summary>
internal static class HostDefaults
{
    /// <summary>The CUDA device that <c>MLContext.GpuDeviceId</c> names, or the CPU where it names none.</summary>
    public static ComputeDevice Device(IHostEnvironment environment) =>
        MLNetInternals.SettingOf(environment, "GpuDeviceId") is int id ? ComputeDevice.Cuda(id) : ComputeDevice.Cpu;

    /// <summary>
    /// The device of one of several processes that train together: those of one machine have a CUDA device each, unless each
    /// sees its own alone.
    /// </summary>
    public static ComputeDevice OfProcess(ComputeDevice device, Exchange? exchange) =>
        exchange is null || device == ComputeDevice.Cpu || DataPart.Here is not { } here ? device : OfProcess(device, here, TorchRuntime.CudaDevices);

    /// <summary>The same, where the machine has so many devices. One that is not there stays, to be refused by its name.</summary>
    public static ComputeDevice OfProcess(ComputeDevice device, DataPart here, int devices) =>
        devices < 2 || device.Index >= devices ? device : ComputeDevice.Cuda((Math.Max(0, device.Index) + here.Index) % devices);

    /// <summary>
    /// The same, where options do not choose, for a model that is loaded, which computes later: whether the device is
    /// there is said now.
    /// </summary>
    /// <exception cref="InvalidOperationException">Torch, or the device, is not there.</exception>
    public static ComputeDevice LoadingDevice(IHostEnvironment environment, TrainingOptions? options = null)
    {
        ComputeDevice device = options?.Device ?? Device(environment);
        if (device != ComputeDevice.Cpu)
            TorchRuntime.FindCuda(device, options?.FallbackToCpu ?? MLNetInternals.FallbackToCpuOf(environment));
        return device;
    }

    /// <summary>The seed of the <c>MLContext</c>, or 0: the same call gives the same model.</summary>
    public static int Seed(IHostEnvironment environment) => (int?)MLNetInternals.SettingOf(environment, "Seed") ?? 0;
}

/// <summary>Hands progress on, and writes first, last and every few seconds a line to <c>MLContext.Log</c>.</summary>
internal sealed class LoggedProgress(IChannel channel, IProgress<TrainingProgress>? listener) : IProgress<TrainingProgress>
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(5);

    private long? _logged;

    public void Report(TrainingProgress value)
    {
        listener?.Report(value);
        if (_logged is long last && !value.IsLast && Stopwatch.GetElapsedTime(last) < s_interval)
            return;
        _logged = Stopwatch.GetTimestamp();
        channel.Info(MessageSensitivity.None, value.ToString());
    }
}
