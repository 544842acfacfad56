using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Rows;

[TestClass]
public sealed class SchemaTests
{
    private static readonly VectorDataViewType s_three = new(NumberDataViewType.Single, 3);

    public static IEnumerable<object[]> WrongTypes =>
    [
        [NumberDataViewType.Single, "Single"],
        [new VectorDataViewType(NumberDataViewType.Double, 3), "Double"],
        [new VectorDataViewType(TextDataViewType.Instance, 3), "String"],
        [new VectorDataViewType(NumberDataViewType.Single), "VectorType"],
        [new KeyDataViewType(typeof(uint), 5), "Key"],
        [TextDataViewType.Instance, "String"],
    ];

    [TestMethod]
    [DynamicData(nameof(WrongTypes))]
    public void A_column_of_the_wrong_type_is_named_with_what_was_expected_and_found(DataViewType type, string found)
    {
        DataViewSchema schema = Schema(("Features", type));
        foreach (Action check in Checks(schema))
        {
            var error = Assert.Throws<ArgumentOutOfRangeException>(check);
            StringAssert.Contains(error.Message, "'Features'");
            StringAssert.Contains(error.Message, "Single");
            StringAssert.Contains(error.Message, found);
        }
    }

    [TestMethod]
    public void A_missing_column_is_named_with_the_columns_that_are_there()
    {
        foreach (Action check in Checks(Schema(("Sensors", s_three), ("Name", TextDataViewType.Instance))))
        {
            var error = Assert.Throws<ArgumentOutOfRangeException>(check);
            StringAssert.Contains(error.Message, "'Features'");
            StringAssert.Contains(error.Message, "'Sensors', 'Name'");
        }
    }

    [TestMethod]
    public void Another_width_than_in_training_is_an_error_that_names_both()
    {
        DataViewSchema schema = Schema(("Features", new VectorDataViewType(NumberDataViewType.Single, 4)));
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => new BatchRowMapper(schema, new AffineModel()));
        StringAssert.Contains(error.Message, "Vector<Single, 3>");
        StringAssert.Contains(error.Message, "Vector<Single, 4>");
    }

    [TestMethod]
    public void A_vector_with_dimensions_counts_by_its_size()
    {
        DataViewSchema schema = Schema(("Features", new VectorDataViewType(NumberDataViewType.Single, 1, 3)));
        Assert.HasCount(5, new BatchRowMapper(schema, new AffineModel()).OutputSchema);
    }

    [TestMethod]
    public void Slots_keep_the_inputs_names_and_nameless_ones_get_a_number()
    {
        var names = new DataViewSchema.Annotations.Builder();
        names.Add(
            "SlotNames",
            new VectorDataViewType(TextDataViewType.Instance, 3),
            (ref VBuffer<ReadOnlyMemory<char>> value) => value = new(3, ["a".AsMemory(), default, "c".AsMemory()]));
        var builder = new DataViewSchema.Builder();
        builder.AddColumn("Features", s_three, names.ToAnnotations());
        CollectionAssert.AreEqual(new[] { "a", "Features.1", "c" }, SlotNames(builder.ToSchema()));
        CollectionAssert.AreEqual(
            new[] { "Features.0", "Features.1", "Features.2" }, SlotNames(Schema(("Features", s_three))));
    }

    [TestMethod]
    public void Scores_carry_the_annotations_of_an_anomaly_detector_and_a_number_of_their_own()
    {
        DataViewSchema first = new BatchRowMapper(Schema(("Features", s_three)), new AffineModel()).OutputSchema;
        DataViewSchema second = new BatchRowMapper(first, new AffineModel(score: "Other")).OutputSchema;
        Assert.AreEqual("AnomalyDetection", Text(first["Score"], "ScoreColumnKind"));
        Assert.AreEqual("Score", Text(first["Score"], "ScoreValueKind"));
        Assert.AreEqual("PredictedLabel", Text(first["PredictedLabel"], "ScoreValueKind"));
        Assert.AreEqual(SetId(first["Score"]), SetId(first["PredictedLabel"]));
        Assert.AreEqual(SetId(first["Score"]) + 1, SetId(second["Other"]));
    }

    [TestMethod]
    public void The_promise_is_what_is_delivered()
    {
        var ml = new MLContext(1);
        TableView data = new TableView(5)
            .Add("Id", NumberDataViewType.Int32, row => row)
            .AddVector("Features", 3, row => [row, 1, 2])
            .Add("Twice", TextDataViewType.Instance, _ => "hidden by an output".AsMemory());
        var estimator = new AffineEstimator(ml, new AffineOptions());
        SchemaShape promised = estimator.GetOutputSchema(Shape(data.Schema));
        using AffineTransformer transformer = estimator.Fit(data);
        DataViewSchema delivered = transformer.GetOutputSchema(data.Schema);
        CollectionAssert.AreEquivalent(Describe(Shape(delivered)), Describe(promised));
    }

    [TestMethod]
    public void A_mapper_has_one_output_schema_and_its_rows_carry_it()
    {
        TableView data = new TableView(5).AddVector("Features", 3, row => [row, 1, 2]);
        IRowToRowMapper mapper = new BatchRowMapper(data.Schema, new AffineModel());
        using DataViewRowCursor cursor = data.GetRowCursor(data.Schema);
        using DataViewRow row = mapper.GetRow(cursor, mapper.OutputSchema);
        DataViewSchema schema = mapper.OutputSchema;
        Assert.AreSame(schema, row.Schema);
        Assert.AreSame(schema, mapper.OutputSchema);
        using DataViewRowCursor foreign = new TableView(1).AddVector("Features", 3, _ => [1, 2, 3]).GetRowCursor([]);
        Assert.Throws<ArgumentException>(() => mapper.GetRow(foreign, mapper.OutputSchema));
    }

    [TestMethod]
    public void Dependencies_are_the_columns_asked_for_and_what_outputs_are_computed_from()
    {
        DataViewSchema schema = Schema(("Id", NumberDataViewType.Int32), ("Features", s_three));
        IRowToRowMapper mapper = new BatchRowMapper(schema, new AffineModel());
        Assert.AreEqual("Id", Names(mapper.GetDependencies([mapper.OutputSchema["Id"]])));
        Assert.AreEqual("Features", Names(mapper.GetDependencies([mapper.OutputSchema["Words"]])));
        Assert.AreEqual("Id Features", Names(mapper.GetDependencies(mapper.OutputSchema)));
        Assert.AreEqual("", Names(mapper.GetDependencies([])));

        static string Names(IEnumerable<DataViewSchema.Column> columns) => string.Join(" ", columns.Select(c => c.Name));
    }

    /// <summary>All the places that look at a schema: promise, Fit, Transform, GetOutputSchema, row mapper.</summary>
    private static IEnumerable<Action> Checks(DataViewSchema schema)
    {
        var ml = new MLContext(1);
        var estimator = new AffineEstimator(ml, new AffineOptions());
        var transformer = new AffineTransformer(new AffineModel());
        var view = new EmptyView(schema);
        yield return () => estimator.GetOutputSchema(Shape(schema));
        yield return () => estimator.Fit(view);
        yield return () => transformer.Transform(view);
        yield return () => transformer.GetOutputSchema(schema);
        yield return () => ((ITransformer)transformer).GetRowToRowMapper(schema);
    }

    private static DataViewSchema Schema(params (string Name, DataViewType Type)[] columns)
    {
        var builder = new DataViewSchema.Builder();
        foreach ((string name, DataViewType type) in columns)
            builder.AddColumn(name, type);
        return builder.ToSchema();
    }

    internal static SchemaShape Shape(DataViewSchema schema) => MLNetInternals.ShapeOf(schema);

    internal static string[] Describe(SchemaShape shape) =>
    [
        .. shape.Select(c => $"{c.Name} {c.Kind} {c.ItemType} {c.IsKey} ["
            + string.Join(", ", Describe(c.Annotations).Order(StringComparer.Ordinal)) + "]"),
    ];

    private static string[] SlotNames(DataViewSchema input)
    {
        VBuffer<ReadOnlyMemory<char>> names = default;
        new BatchRowMapper(input, new AffineModel()).OutputSchema["Twice"].Annotations.GetValue("SlotNames", ref names);
        return [.. names.DenseValues().Select(name => name.ToString())];
    }

    private static string Text(DataViewSchema.Column column, string annotation)
    {
        ReadOnlyMemory<char> value = default;
        column.Annotations.GetValue(annotation, ref value);
        return value.ToString();
    }

    private static uint SetId(DataViewSchema.Column column)
    {
        uint value = 0;
        column.Annotations.GetValue("ScoreColumnSetId", ref value);
        return value;
    }

    private sealed class EmptyView(DataViewSchema schema) : IDataView
    {
        public bool CanShuffle => false;

        public DataViewSchema Schema => schema;

        public long? GetRowCount() => 0;

        public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) =>
            throw new AssertFailedException("the schema should have been refused before any row was read");

        public DataViewRowCursor[] GetRowCursorSet(
            IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
            throw new AssertFailedException("the schema should have been refused before any row was read");
    }
}
