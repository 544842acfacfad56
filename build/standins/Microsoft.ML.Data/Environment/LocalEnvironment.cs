using System.Diagnostics;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>An environment, and each host registered under it: generators derive from the parent's, settings copy.</summary>
internal sealed class LocalEnvironment : IHost, IHostEnvironmentInternal
{
    private readonly LocalEnvironment _root;
    private readonly string _name;
    private readonly Random _random;

    public LocalEnvironment(int? seed)
        : this(null, null, seed is { } s ? new Random(s) : new Random())
    {
        Seed = seed;
        ComponentCatalog = new();
        TempFilePath = Path.GetTempPath();
    }

    private LocalEnvironment(LocalEnvironment root, string name, Random random)
    {
        _root = root ?? this;
        _name = name;
        _random = random;
    }

    public Action<ChannelMessageKind, string, string> Listener { get; set; }

    public ComponentCatalog ComponentCatalog { get; private init; }

    public int? Seed { get; private init; }

    public string TempFilePath { get; set; }

    public bool FallbackToCpu { get; set; }

    public int? GpuDeviceId { get; set; }

    public Random Rand => _random;

    public string ContextDescription => _name ?? "HostEnvironment";

    public IHost Register(string name, int? seed = null, bool? verbose = null)
    {
        this.CheckNonEmpty(name, nameof(name));
        int childSeed;
        lock (_random)
            childSeed = seed ?? _random.Next();
        return new LocalEnvironment(_root, name, new Random(childSeed))
        {
            ComponentCatalog = ComponentCatalog,
            Seed = Seed,
            TempFilePath = TempFilePath,
            FallbackToCpu = FallbackToCpu,
            GpuDeviceId = GpuDeviceId,
        };
    }

    public IChannel Start(string name) => new Channel(this, name);

    public IPipe<TMessage> StartPipe<TMessage>(string name) => throw new NotSupportedException();

    public IProgressChannel StartProgressChannel(string name) => new ProgressChannel();

    public TException Process<TException>(TException ex)
        where TException : Exception
        => Contracts.Mark(ex);

    private sealed class Channel : IChannel
    {
        private readonly LocalEnvironment _host;
        private readonly string _source;
        private readonly long _started = Stopwatch.GetTimestamp();
        private bool _disposed;

        public Channel(LocalEnvironment host, string name)
        {
            _host = host;
            _source = host._name is null ? name : $"{host._name}; {name}";
            Send(ChannelMessageKind.Trace, "Channel started");
        }

        public string ContextDescription => _source;

        public TException Process<TException>(TException ex)
            where TException : Exception
            => Contracts.Mark(ex);

        public void Send(ChannelMessage msg) => Send(msg.Kind, msg.Message);

        public void Trace(MessageSensitivity sensitivity, string fmt) => Send(ChannelMessageKind.Trace, fmt);

        public void Trace(MessageSensitivity sensitivity, string fmt, params object[] args)
            => Send(ChannelMessageKind.Trace, string.Format(fmt, args));

        public void Error(MessageSensitivity sensitivity, string fmt) => Send(ChannelMessageKind.Error, fmt);

        public void Error(MessageSensitivity sensitivity, string fmt, params object[] args)
            => Send(ChannelMessageKind.Error, string.Format(fmt, args));

        public void Warning(MessageSensitivity sensitivity, string fmt) => Send(ChannelMessageKind.Warning, fmt);

        public void Warning(MessageSensitivity sensitivity, string fmt, params object[] args)
            => Send(ChannelMessageKind.Warning, string.Format(fmt, args));

        public void Info(MessageSensitivity sensitivity, string fmt) => Send(ChannelMessageKind.Info, fmt);

        public void Info(MessageSensitivity sensitivity, string fmt, params object[] args)
            => Send(ChannelMessageKind.Info, string.Format(fmt, args));

        public void Dispose()
        {
            if (_disposed)
                return;
            _disposed = true;
            Send(ChannelMessageKind.Trace, $"Channel finished. Elapsed {Stopwatch.GetElapsedTime(_started):c}.");
            Send(ChannelMessageKind.Trace, "Channel disposed");
        }

        private void Send(ChannelMessageKind kind, string message)
            => _host._root.Listener?.Invoke(kind, _source, message);
    }

    /// <summary>In ML.NET, too, none of this reaches the context's log.</summary>
    private sealed class ProgressChannel : IProgressChannel
    {
        public IProgressChannel StartProgressChannel(string name) => new ProgressChannel();

        public void SetHeader(ProgressHeader header, Action<IProgressEntry> fillAction)
        {
        }

        public void Checkpoint(params double?[] values)
        {
        }

        public void Dispose()
        {
        }
    }
}
