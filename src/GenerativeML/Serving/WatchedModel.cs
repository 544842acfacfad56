using Microsoft.Extensions.Logging;
using Microsoft.ML;

namespace GenerativeML;

/// <summary>How a model in a file is served.</summary>
public sealed record ServedModelOptions
{
    /// <summary>
    /// How often it is looked whether the file has changed. What has, and is the same the next time, is loaded: a model is
    /// taken at the latest two intervals after it was written. Null: never, unless asked to. Default: two seconds.
    /// </summary>
    public TimeSpan? ReloadInterval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// The most prediction engines that are kept for the next rows; while more rows come at once, there are as many as
    /// rows. Default: two for each processor.
    /// </summary>
    public int MaxIdleEngines { get; init; } = 2 * Environment.ProcessorCount;

    /// <summary>The context that loads the model, and whose device it computes on. Default: a new one.</summary>
    public MLContext? Context { get; init; }

    /// <summary>Checks each option.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is out of its range.</exception>
    internal void Validate()
    {
        if (ReloadInterval is TimeSpan interval && (interval < TimeSpan.FromMilliseconds(1) || interval > TimeSpan.FromDays(49)))
            throw new ArgumentOutOfRangeException(
                nameof(ReloadInterval), interval, "Option ReloadInterval must be at least a millisecond and at most 49 days, or null.");
        OptionChecks.AtLeast(MaxIdleEngines, 0);
    }
}

/// <summary>
/// A model in a file, with what is made of it, which is replaced when the file changes. Whoever uses one goes on with it:
/// it is disposed when the last has let go. A file that cannot be used changes nothing. May be used from several threads.
/// </summary>
internal sealed partial class WatchedModel<T> : IDisposable
    where T : IDisposable
{
    private readonly string _path;
    private readonly Func<MLContext, ITransformer, T> _make;
    private readonly MLContext _context;
    private readonly ILogger _logger;
    private readonly Lock _gate = new(), _loading = new();
    private readonly Timer? _timer;
    private readonly TimeSpan _interval;
    private Version? _current;
    private FileStamp _loaded; // of the model of the moment
    private FileStamp? _seen, _refused; // as the file was at the last look, and the last one that could not be used
    private Type? _hindered; // what kept it from being read at the last look
    private int _loads;

    /// <summary>Loads the file for the first time.</summary>
    /// <param name="path">The file, as <c>mlContext.Model.Save</c> writes it.</param>
    /// <param name="options">How it is served.</param>
    /// <param name="logger">Is told of each model that is loaded or refused.</param>
    /// <param name="make">Makes of a model what is served, or throws where it is none that could be.</param>
    public WatchedModel(string path, ServedModelOptions? options, ILogger logger, Func<MLContext, ITransformer, T> make)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        options ??= new();
        options.Validate();
        (_path, _make, _logger, _context) = (Path.GetFullPath(path), make, logger, options.Context ?? new MLContext());
        _current = Load(_loaded = FileStamp.Of(_path));
        if (options.ReloadInterval is not TimeSpan interval)
            return;
        _interval = interval;
        _timer = new Timer(_ => Watch(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _timer.Change(_interval, Timeout.InfiniteTimeSpan);
    }

    /// <summary>How many models have been loaded: 1 at first.</summary>
    public int Loads => Volatile.Read(ref _loads);

    /// <summary>The model of the moment, until it is released.</summary>
    /// <exception cref="ObjectDisposedException">The models are no longer served.</exception>
    public Lease Acquire()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_current is null, this);
            _current.Users++;
            return new(this, _current);
        }
    }

    /// <summary>Loads the file if it is another one than at the last time; tells whether it was.</summary>
    /// <exception cref="Exception">The file cannot be used; the model from before stays.</exception>
    public bool Reload()
    {
        lock (_loading)
        {
            FileStamp stamp = FileStamp.Of(_path);
            if (stamp == _loaded)
                return false;
            Version fresh = Load(stamp);
            _loaded = stamp;
            Version? old;
            lock (_gate)
            {
                old = _current is null ? fresh : _current; // disposed in the meantime
                if (_current is not null)
                    _current = fresh;
            }
            Release(old);
            return true;
        }
    }

    /// <summary>Serves no more; what is in use is disposed when it is released.</summary>
    public void Dispose()
    {
        Version? last;
        lock (_gate)
        {
            (last, _current) = (_current, null);
            _timer?.Dispose();
        }
        if (last is not null)
            Release(last);
    }

    /// <summary>
    /// Loads the file if it has changed, but not since the last look: one that is being written is left to be complete.
    /// </summary>
    internal void Look()
    {
        FileStamp stamp = FileStamp.Of(_path);
        (bool settled, _seen) = (stamp == _seen, stamp);
        if (!settled || stamp == _refused)
            return;
        try
        {
            Reload();
        }
        catch (Exception refused)
        {
            // What is wrong with the file is not tried again before it changes; what kept it from being read may pass, and is
            // told once.
            bool isFault = refused is FormatException or InvalidOperationException or ArgumentException;
            _refused = isFault ? stamp : null;
            if (isFault || refused.GetType() != _hindered)
                Refused(_logger, _path, refused);
            _hindered = isFault ? null : refused.GetType();
        }
    }

    private void Watch()
    {
        Look();
        lock (_gate)
        {
            if (_current is not null)
                _timer!.Change(_interval, Timeout.InfiniteTimeSpan);
        }
    }

    private Version Load(FileStamp stamp)
    {
        ITransformer model;
        // Others may replace the file meanwhile, also where files in use are locked.
        using (FileStream file = new(_path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete))
            model = _context.Model.Load(file, out _);
        T served;
        try
        {
            if (FileStamp.Of(_path) != stamp)
                throw new ChangedWhileRead(_path);
            served = _make(_context, model);
        }
        catch
        {
            (model as IDisposable)?.Dispose();
            throw;
        }
        int number = Interlocked.Increment(ref _loads);
        Loaded(_logger, _path, number);
        return new(served);
    }

    private void Release(Version version)
    {
        bool last;
        lock (_gate)
            last = --version.Users == 0;
        if (last)
            version.Served.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Loaded {Path}: model number {Number}.")]
    private static partial void Loaded(ILogger logger, string path, int number);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Path} has changed and cannot be used: the model from before stays.")]
    private static partial void Refused(ILogger logger, string path, Exception why);

    /// <summary>A model in use; releases it when disposed, once.</summary>
    public readonly struct Lease(WatchedModel<T> owner, Version version) : IDisposable
    {
        public T Value => version.Served;

        public void Dispose() => owner.Release(version);
    }

    /// <summary>A model that was loaded, and how many use it; the owner counts while it is the one of the moment.</summary>
    internal sealed class Version(T served)
    {
        public T Served => served;

        public int Users { get; set; } = 1;
    }

    private sealed class ChangedWhileRead(string path) : IOException($"'{path}' has changed while it was read.");
}

/// <summary>What tells whether a file is another one; of none, nothing.</summary>
internal readonly record struct FileStamp(long Length, DateTime Written, string? Target = null)
{
    /// <summary>Of the file that links lead to: a mounted configuration is replaced by another link.</summary>
    public static FileStamp Of(string path)
    {
        try
        {
            FileSystemInfo? target = File.ResolveLinkTarget(path, returnFinalTarget: true);
            var file = new FileInfo(target?.FullName ?? path);
            return file.Exists ? new(file.Length, file.LastWriteTimeUtc, target?.FullName) : default;
        }
        catch (Exception hidden) when (hidden is IOException or UnauthorizedAccessException)
        {
            return default; // between two names, or no longer there
        }
    }
}
