using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Platform;

/// <summary>Columns: hidden ones, inactive ones, wrong types, annotations, and what estimators promise.</summary>
[TestClass]
public sealed class SchemaTests
{
    private readonly MLContext _ml = new();

    private IDataView Data => _ml.Data.LoadFromEnumerable(PlatformRow.Make(5));

    [TestMethod]
    public void Overwriting_a_column_hides_the_old_one_and_shifts_the_indices_behind_it()
    {
        IDataView output = _ml.Transforms.CopyColumns("Value", "Id").Fit(Data).Transform(Data);
        CollectionAssert.AreEqual(
            new[] { "Id", "Value (hidden)", "Value", "Features", "Text", "Flag" },
            output.Schema.Select(c => c.Name + (c.IsHidden ? " (hidden)" : "")).ToArray());
        Assert.AreEqual(NumberDataViewType.Int32, output.Schema["Value"].Type);
        CollectionAssert.AreEqual(new[] { 0f, 0.5f, 1f, 1.5f, 2f }, output.GetColumn<float>(output.Schema[1]).ToArray());
    }

    [TestMethod]
    public void A_getter_of_the_wrong_type_is_an_invalid_operation()
    {
        using DataViewRowCursor cursor = Data.GetRowCursor(Data.Schema);
        Assert.ThrowsExactly<InvalidOperationException>(() => cursor.GetGetter<long>(cursor.Schema["Id"]));
        InvalidOperationException text = Assert.ThrowsExactly<InvalidOperationException>(
            () => cursor.GetGetter<string>(cursor.Schema["Text"]));
        Assert.Contains("ReadOnlyMemory", text.Message, "text is memory, never a string");
    }

    [TestMethod]
    public void A_getter_of_an_inactive_column_is_an_argument_out_of_range()
    {
        IDataView data = Data;
        using DataViewRowCursor cursor = data.GetRowCursor([data.Schema["Id"]]);
        Assert.IsFalse(cursor.IsColumnActive(data.Schema["Value"]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => cursor.GetGetter<float>(data.Schema["Value"]));
    }

    [TestMethod]
    public void A_transform_hands_on_the_columns_that_are_asked_for_and_no_others()
    {
        IDataView output = _ml.Transforms.Concatenate("All", "Value", "Features").Fit(Data).Transform(Data);
        using DataViewRowCursor cursor = output.GetRowCursor([output.Schema["All"]]);
        CollectionAssert.AreEqual(
            new[] { "All" }, output.Schema.Where(cursor.IsColumnActive).Select(c => c.Name).ToArray());
    }

    [TestMethod]
    public void An_array_without_a_declared_size_is_a_vector_of_variable_length()
    {
        DataViewSchema schema = _ml.Data.LoadFromEnumerable([new UnsizedRow()]).Schema;
        var type = (VectorDataViewType)schema["Features"].Type;
        Assert.IsFalse(type.IsKnownSize);
        Assert.AreEqual(3, ((VectorDataViewType)Data.Schema["Features"].Type).Size);
        SchemaShape shape = _ml.Transforms.CopyColumns("Copy", "Features").GetOutputSchema(ShapeOf(schema));
        Assert.AreEqual(SchemaShape.Column.VectorKind.VariableVector, shape.Single(c => c.Name == "Copy").Kind);
    }

    [TestMethod]
    public void A_missing_text_is_empty()
    {
        ReadOnlyMemory<char>[] texts = [.. Data.GetColumn<ReadOnlyMemory<char>>("Text")];
        Assert.AreEqual(0, texts[0].Length);
        Assert.AreEqual("row 1", texts[1].ToString());
    }

    [TestMethod]
    public void A_member_counts_keys_from_zero_and_a_column_from_one()
    {
        IDataView data = _ml.Data.LoadFromEnumerable([new KeyRow { Kind = 0 }, new KeyRow { Kind = 2 }, new KeyRow { Kind = 9 }]);
        Assert.AreEqual(3UL, ((KeyDataViewType)data.Schema["Kind"].Type).Count);
        CollectionAssert.AreEqual(new[] { 1u, 3u, 0u }, data.GetColumn<uint>("Kind").ToArray());
    }

    [TestMethod]
    public void Concatenated_sparse_vectors_may_stay_sparse()
    {
        var definition = SchemaDefinition.Create(typeof(SparseRow));
        definition["Features"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, 8);
        IDataView data = _ml.Data.LoadFromEnumerable(
            [new SparseRow { Value = 2, Features = new VBuffer<float>(8, 1, [5f], [3]) }], definition);
        IDataView output = _ml.Transforms.Concatenate("All", "Value", "Features").Fit(data).Transform(data);
        VBuffer<float> all = output.GetColumn<VBuffer<float>>("All").Single();
        Assert.IsFalse(all.IsDense);
        Assert.AreEqual(2, all.GetValues().Length);
        CollectionAssert.AreEqual(new[] { 2f, 0, 0, 0, 5, 0, 0, 0, 0 }, all.DenseValues().ToArray());
        Assert.IsTrue(_ml.Transforms.NormalizeMinMax("All").Fit(output).Transform(output)
            .GetColumn<VBuffer<float>>("All").Single().DenseValues().Count() == 9);
    }

    [TestMethod]
    public void Concatenated_slots_are_named_by_column_and_slot()
    {
        IDataView pair = _ml.Transforms.Concatenate("Pair", "Value", "Value").Fit(Data).Transform(Data);
        IDataView all = _ml.Transforms.Concatenate("All", "Value", "Features", "Pair").Fit(pair).Transform(pair);
        CollectionAssert.AreEqual(
            new[] { "Value", "", "", "", "Pair.Value", "Pair.Value" }, SlotNames(all.Schema["All"]));
        IDataView same = _ml.Transforms.Concatenate("Same", "Pair").Fit(pair).Transform(pair);
        CollectionAssert.AreEqual(new[] { "Value", "Value" }, SlotNames(same.Schema["Same"]));
        IDataView unnamed = _ml.Transforms.Concatenate("Twice", "Features", "Features").Fit(Data).Transform(Data);
        Assert.IsFalse(unnamed.Schema["Twice"].HasSlotNames());
    }

    [TestMethod]
    public void A_chain_asks_every_estimator_for_its_schema_before_it_fits_any()
    {
        var late = new CountingEstimator();
        var pipeline = late.Append(_ml.Transforms.CopyColumns("Copy", "Nowhere"));
        ArgumentOutOfRangeException missing = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => pipeline.Fit(Data));
        Assert.Contains("'Nowhere'", missing.Message);
        Assert.AreEqual(0, late.Fits);
    }

    [TestMethod]
    public void Missing_columns_are_named_as_arguments_out_of_range()
    {
        Assert.Contains("'Nope'", Thrown(() => _ml.Transforms.Concatenate("A", "Nope").Fit(Data).Transform(Data)));
        Assert.Contains("'Nope'", Thrown(() => _ml.Transforms.CopyColumns("A", "Nope").Fit(Data)));
        Assert.Contains("Nope", Thrown(() => _ml.Transforms.DropColumns("Nope").Fit(Data)));
        Assert.Contains("'Nope'", Thrown(() => _ml.Transforms.NormalizeMinMax("Nope").Fit(Data)));
        Assert.Contains("'Nope'", Thrown(() => _ = Data.Schema["Nope"]));
        Assert.IsNull(Data.Schema.GetColumnOrNull("Nope"));

        static string Thrown(Action action) => Assert.ThrowsExactly<ArgumentOutOfRangeException>(action).Message;
    }

    [TestMethod]
    public void Filling_objects_needs_every_column_unless_told_to_ignore()
    {
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => _ml.Data.CreateEnumerable<KeyRow>(Data, reuseRowObject: false).Count());
        Assert.AreEqual(5, _ml.Data.CreateEnumerable<KeyRow>(Data, reuseRowObject: false, ignoreMissingColumns: true).Count());
        Assert.ThrowsExactly<InvalidOperationException>(
            () => _ml.Data.CreateEnumerable<WrongRow>(Data, reuseRowObject: false).Count());
        List<PlatformRow> back = [.. _ml.Data.CreateEnumerable<PlatformRow>(Data, reuseRowObject: false)];
        CollectionAssert.AreEqual(new[] { 3f, 6, 1 }, back[3].Features);
        Assert.AreEqual("row 4", back[4].Text);
    }

    internal static string[] SlotNames(DataViewSchema.Column column)
    {
        VBuffer<ReadOnlyMemory<char>> names = default;
        column.GetSlotNames(ref names);
        return [.. names.DenseValues().Select(name => name.ToString())];
    }

    private static SchemaShape ShapeOf(DataViewSchema schema)
    {
        // The shape that a chain would begin with is what an estimator in it is asked about.
        var catcher = new CountingEstimator();
        var view = new MLContext().Data.LoadFromEnumerable([new UnsizedRow()]);
        Assert.AreEqual(schema.Count, view.Schema.Count);
        catcher.Append(catcher).Fit(view);
        return catcher.Shape!;
    }

    private sealed class CountingEstimator : IEstimator<ITransformer>
    {
        public int Fits { get; private set; }

        public SchemaShape? Shape { get; private set; }

        public ITransformer Fit(IDataView input)
        {
            Fits++;
            return new ProbeTransformer();
        }

        public SchemaShape GetOutputSchema(SchemaShape inputSchema) => Shape = inputSchema;
    }

    private sealed class KeyRow
    {
        [KeyType(3)]
        public uint Kind { get; set; }
    }

    private sealed class WrongRow
    {
        public double Value { get; set; }
    }

    private sealed class SparseRow
    {
        public float Value { get; set; }

        public VBuffer<float> Features { get; set; }
    }
}
