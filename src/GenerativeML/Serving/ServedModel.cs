using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.ML;

namespace GenerativeML;

/// <summary>
/// A model in a file that answers requests: any chain that maps rows, of this package or not, with prediction engines that
/// are made once and used again. When the file changes, the new model takes over; requests in progress end with the old one.
/// A file that is not complete, is broken, or has not the columns that are asked for changes nothing but the log. May be used
/// from several threads at once.
/// </summary>
/// <typeparam name="TInput">A row that goes in, with the columns that the model reads.</typeparam>
/// <typeparam name="TOutput">A row that comes out: some of the columns that the model has then.</typeparam>
/// <remarks>
/// ML.NET's loader runs code that a model file names: serve only files that you trust, from folders that others cannot write
/// to. Files are best replaced, not overwritten: written under another name, then renamed.
/// </remarks>
public sealed class ServedModel<TInput, TOutput> : IDisposable
    where TInput : class
    where TOutput : class, new()
{
    private readonly WatchedModel<Engines> _model;

    /// <summary>Loads a model.</summary>
    /// <param name="path">The zip, as <c>mlContext.Model.Save</c> writes it.</param>
    /// <param name="options">How it is served. Default: all defaults.</param>
    /// <param name="logger">Is told of each model that is loaded or refused. Default: nobody is.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// An option is out of its range, or a column that the model needs or that is asked for is missing or of another type.
    /// </exception>
    /// <exception cref="FormatException">The file is no model.</exception>
    /// <exception cref="InvalidOperationException">The file is no model, or one that does not map single rows.</exception>
    public ServedModel(string path, ServedModelOptions? options = null, ILogger? logger = null)
    {
        int idle = (options ?? new()).MaxIdleEngines;
        _model = new(path, options, logger ?? NullLogger.Instance, (context, model) => new(context, model, idle));
    }

    /// <summary>How many models have been loaded: 1 at first, one more each time that the file was replaced.</summary>
    public int Loads => _model.Loads;

    /// <summary>Maps one row.</summary>
    /// <param name="row">The row.</param>
    /// <exception cref="ObjectDisposedException">The model is no longer served.</exception>
    public TOutput Predict(TInput row)
    {
        ArgumentNullException.ThrowIfNull(row);
        using WatchedModel<Engines>.Lease model = _model.Acquire();
        return model.Value.Predict(row);
    }

    /// <summary>
    /// Maps several rows: more than a few in batches, which is cheaper than one after the other, with the same results.
    /// </summary>
    /// <param name="rows">The rows.</param>
    /// <returns>The results, in the order of the rows.</returns>
    /// <exception cref="ObjectDisposedException">The model is no longer served.</exception>
    public IReadOnlyList<TOutput> Predict(IEnumerable<TInput> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        using WatchedModel<Engines>.Lease model = _model.Acquire();
        return model.Value.Predict(rows);
    }

    /// <summary>Does something with the model of the moment, which stays until it is done.</summary>
    /// <param name="use">What to do; not with the model after it has returned.</param>
    /// <exception cref="ObjectDisposedException">The model is no longer served.</exception>
    public TResult Use<TResult>(Func<ITransformer, TResult> use)
    {
        ArgumentNullException.ThrowIfNull(use);
        using WatchedModel<Engines>.Lease model = _model.Acquire();
        return use(model.Value.Model);
    }

    /// <summary>Loads the file now, if it has changed.</summary>
    /// <returns>Whether it had.</returns>
    /// <exception cref="Exception">The file cannot be used, as in the constructor; the model from before stays.</exception>
    public bool Reload() => _model.Reload();

    /// <summary>Serves no more; requests in progress are answered.</summary>
    public void Dispose() => _model.Dispose();

    /// <summary>What watches the file, for tests.</summary>
    internal void Look() => _model.Look();

    /// <summary>A model with prediction engines, each of which serves one row at a time.</summary>
    private sealed class Engines : IDisposable
    {
        // A column that is asked for and is not there is an error, not a zero.
        private static readonly PredictionEngineOptions s_options = new() { OwnsTransformer = false, IgnoreMissingColumns = false };

        // To make a view of rows costs as much as these few do alone: a millisecond.
        private const int FewRows = 20;

        private readonly MLContext _context;
        private readonly int _most;
        private readonly Stack<PredictionEngine<TInput, TOutput>> _idle = [];

        public Engines(MLContext context, ITransformer model, int most)
        {
            (_context, Model, _most) = (context, model, most);
            _idle.Push(New()); // finds out whether the columns are those that are asked for
        }

        public ITransformer Model { get; }

        public TOutput Predict(TInput row)
        {
            PredictionEngine<TInput, TOutput>? engine;
            lock (_idle)
                _idle.TryPop(out engine);
            engine ??= New();
            bool kept = false;
            try
            {
                TOutput result = engine.Predict(row);
                lock (_idle)
                {
                    if (kept = _idle.Count < _most)
                        _idle.Push(engine);
                }
                return result;
            }
            finally
            {
                if (!kept)
                    engine.Dispose();
            }
        }

        public IReadOnlyList<TOutput> Predict(IEnumerable<TInput> rows)
        {
            TInput[] all = [.. rows];
            if (all.Length <= FewRows)
                return [.. all.Select(Predict)];
            IDataView results = Model.Transform(_context.Data.LoadFromEnumerable(all));
            return [.. _context.Data.CreateEnumerable<TOutput>(results, reuseRowObject: false)];
        }

        public void Dispose()
        {
            foreach (PredictionEngine<TInput, TOutput> engine in _idle)
                engine.Dispose();
            (Model as IDisposable)?.Dispose();
        }

        private PredictionEngine<TInput, TOutput> New() =>
            _context.Model.CreatePredictionEngine<TInput, TOutput>(Model, s_options);
    }
}
