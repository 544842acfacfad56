using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

public sealed class DataOperationsCatalog : IInternalCatalog
{
    private readonly IHostEnvironment _env;

    internal DataOperationsCatalog(IHostEnvironment env) => _env = env;

    IHostEnvironment IInternalCatalog.Environment => _env;

    public IDataView LoadFromEnumerable<TRow>(IEnumerable<TRow> data, SchemaDefinition schemaDefinition = null)
        where TRow : class
    {
        _env.CheckValue(data, nameof(data));
        return new ObjectDataView<TRow>(data, schemaDefinition);
    }

    public IEnumerable<TRow> CreateEnumerable<TRow>(
        IDataView data, bool reuseRowObject, bool ignoreMissingColumns = false, SchemaDefinition schemaDefinition = null)
        where TRow : class, new()
    {
        _env.CheckValue(data, nameof(data));
        return Rows(data, new ObjectFiller<TRow>(data.Schema, schemaDefinition, ignoreMissingColumns), reuseRowObject);
    }

    public IDataView Cache(IDataView input, params string[] columnsToPrefetch)
    {
        _env.CheckValue(input, nameof(input));
        return new CacheDataView(input, columnsToPrefetch ?? []);
    }

    public IDataView ShuffleRows(
        IDataView input, int? seed = null, int shufflePoolSize = 1000, bool shuffleSource = true)
    {
        _env.CheckValue(input, nameof(input));
        _env.CheckParam(shufflePoolSize > 0, nameof(shufflePoolSize), "A pool has at least one row");
        return new ShuffleDataView(input, seed ?? _env.Register("Shuffle").Rand.Next(), shufflePoolSize, shuffleSource);
    }

    public IDataView TakeRows(IDataView input, long count) => Range(input, 0, Positive(count));

    public IDataView SkipRows(IDataView input, long count) => Range(input, Positive(count), long.MaxValue);

    public TrainTestData TrainTestSplit(
        IDataView data, double testFraction = 0.1, string samplingKeyColumnName = null, int? seed = null)
    {
        _env.CheckValue(data, nameof(data));
        _env.CheckParam(testFraction is > 0 and < 1, nameof(testFraction), "Each part gets some of the rows");
        if (samplingKeyColumnName is not null)
            throw new NotSupportedException("This stand-in splits by rows only.");
        int drawn = seed ?? ((IHostEnvironmentInternal)_env).Seed ?? Random.Shared.Next();
        FilterDataView Part(bool test) => new(data, () =>
        {
            Random random = new(drawn);
            return () => random.NextDouble() < testFraction == test ? RowVerdict.Keep : RowVerdict.Drop;
        });
        return new(Part(test: false), Part(test: true));
    }

    private static IEnumerable<TRow> Rows<TRow>(IDataView data, ObjectFiller<TRow> filler, bool reuseRowObject)
        where TRow : class, new()
    {
        using DataViewRowCursor cursor = data.GetRowCursor(filler.Columns);
        filler.Bind(cursor);
        TRow row = null;
        while (cursor.MoveNext())
        {
            if (row is null || !reuseRowObject)
                row = new();
            filler.Fill(row);
            yield return row;
        }
    }

    private long Positive(long count)
    {
        _env.CheckParam(count > 0, nameof(count), "At least one row");
        return count;
    }

    private FilterDataView Range(IDataView input, long skip, long take)
    {
        _env.CheckValue(input, nameof(input));
        return new(input, () =>
        {
            long at = -1;
            return () => ++at < skip ? RowVerdict.Drop : at - skip < take ? RowVerdict.Keep : RowVerdict.Stop;
        }, rows => Math.Clamp(rows - skip, 0, take));
    }

    public struct TrainTestData
    {
        public readonly IDataView TrainSet;
        public readonly IDataView TestSet;

        internal TrainTestData(IDataView trainSet, IDataView testSet)
        {
            TrainSet = trainSet;
            TestSet = testSet;
        }
    }
}
