namespace GenerativeML.Tests;

[TestClass]
public sealed class TrainedTableTests
{
    private const int Rows = 1024;

    private static ITableGenerator s_vae = null!, s_gan = null!, s_diffusion = null!;

    [ClassInitialize]
    public static void Train(TestContext context)
    {
        _ = context;
        ArrayTable table = ArrayTable.Known(4000, 1);
        s_vae = Fit(table, new TabularVaeOptions { HiddenWidth = 32, LatentDimension = 4, Epochs = 16 });
        s_diffusion = Fit(table, new TabularDiffusionOptions { HiddenWidth = 32, Blocks = 1, Epochs = 40, LearningRate = 3e-3 });
        s_gan = Fit(table, new TabularGanOptions
        {
            HiddenLayers = [64, 64],
            NoiseDimension = 16,
            Epochs = 200,
            LearningRate = 1e-3,
        });
    }

    [ClassCleanup]
    public static void Free()
    {
        s_vae.Dispose();
        s_gan.Dispose();
        s_diffusion.Dispose();
    }

    [TestMethod]
    public void A_precision_that_tables_are_not_trained_in_is_refused()
    {
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(
            () => new TabularVaeOptions { Precision = Precision.BFloat16 }.Validate());
        StringAssert.Contains(error.Message, "BFloat16");
    }

    [TestMethod]
    [DataRow("vae", 0.05)]
    [DataRow("diffusion", 0.05)]
    [DataRow("gan", 0.3)] // columns drawn one by one are 0.45 away
    public void A_known_joint_distribution_is_recovered(string method, double bound)
    {
        // With 4000 training rows the shares of the twelve cells are themselves off by about 0.02 in all.
        double[] expected = new double[12], found = new double[12];
        for (int a = 0; a < 2; a++)
            for (int b = 0; b < 2; b++)
                for (int c = 0; c < 3; c++)
                    expected[(a * 2 + b) * 3 + c] = (a == 1 ? 0.3 : 0.7) * 0.5 * ((c == a + b ? 0.8 : 0) + 0.2 / 3);
        int numbers = 0, agree = 0, missing = 0;
        const int blocks = 16;
        var block = new TableBlock(Generator(method).Shape, Rows);
        for (int n = 0; n < blocks; n++)
        {
            Generator(method).Fill(block, Rows, 77, n * Rows, null);
            for (int i = 0; i < Rows; i++)
            {
                int a = (int)block[0][i];
                found[(a * 2 + (int)block[1][i]) * 3 + (int)block[2][i]] += 1.0 / (blocks * Rows);
                double x = block[3][i];
                missing += double.IsNaN(x) ? 1 : 0;
                numbers += double.IsNaN(x) ? 0 : 1;
                agree += !double.IsNaN(x) && x >= 10 == (a == 1) ? 1 : 0;
            }
        }
        double distance = expected.Zip(found).Sum(p => Math.Abs(p.First - p.Second)) / 2;
        Assert.IsLessThan(bound, distance);
        Assert.AreEqual(0.1, missing / (double)(blocks * Rows), bound);
        Assert.IsGreaterThan(1 - bound, agree / (double)numbers);
    }

    [TestMethod]
    [DataRow("vae")]
    [DataRow("diffusion")]
    [DataRow("gan")]
    public void The_same_seed_gives_the_same_rows_and_another_one_others(string method)
    {
        string first = Text(Generator(method), 5, null);
        string[] again = new string[4];
        Parallel.For(0, again.Length, i => again[i] = Text(Generator(method), i % 2 == 0 ? 5u : 6u, null));
        Assert.AreEqual(first, again[0]);
        Assert.AreEqual(first, again[2]);
        Assert.AreEqual(again[1], again[3]);
        Assert.AreNotEqual(first, again[1]);
    }

    [TestMethod]
    [DataRow("vae", false)]
    [DataRow("vae", true)]
    [DataRow("diffusion", false)]
    [DataRow("diffusion", true)]
    [DataRow("gan", false)]
    [DataRow("gan", true)]
    public void A_row_is_the_same_whichever_are_made_with_it(string method, bool isLimited)
    {
        TableCondition? where = isLimited ? new([new CategoryLimit(2, [false, true, true])]) : null;
        TableBlock all = new(Generator(method).Shape, Rows), some = new(Generator(method).Shape, Rows);
        Generator(method).Fill(all, Rows, 4, 0, where);
        foreach ((int first, int count) in new[] { (0, 1), (5, 300), (1000, 24), (1023, 1) })
        {
            Generator(method).Fill(some, count, 4, first, where);
            for (int i = 0; i < count; i++)
            {
                for (int c = 0; c < 3; c++)
                    Assert.AreEqual(all[c][first + i], some[c][i], $"row {first + i}");
                Assert.AreEqual(all[3][first + i], some[3][i], $"row {first + i}");
            }
        }
    }

    [TestMethod]
    [DataRow("vae")]
    [DataRow("diffusion")]
    [DataRow("gan")]
    public void Options_of_a_trained_generator_leave_nothing_open(string method)
    {
        TabularOptions options = Generator(method).Options;
        Assert.AreEqual(method == "gan" ? 500 : 256, options.BatchSize);
        Assert.AreEqual(method switch { "vae" => 0.1, "gan" => 1e-6, _ => 0.01 }, options.WeightDecay);
        Assert.AreEqual(method == "gan" ? 1e-3 : 3e-3, options.LearningRate);
        Assert.AreEqual(method switch { "vae" => 16, "gan" => 200, _ => 40 }, options.Epochs);
    }

    [TestMethod]
    [DataRow("vae")]
    [DataRow("diffusion")]
    [DataRow("gan")]
    public void A_saved_generator_gives_the_same_rows(string method)
    {
        ITableGenerator generator = Generator(method);
        using var file = new MemoryStream();
        generator.Save(file);
        file.Position = 0;
        using ITableGenerator loaded = TableGenerator.Load(
            generator.Shape, generator.Options, file, ComputeDevice.Cpu, fallbackToCpu: false);
        Assert.AreEqual(Text(generator, 9, null), Text(loaded, 9, null));
    }

    [TestMethod]
    [DataRow("vae")]
    [DataRow("diffusion")]
    public void Rows_keep_conditions_exactly_and_are_those_that_go_with_them(string method)
    {
        var where = new TableCondition(
            [new CategoryLimit(2, [false, false, true]), new NumberLimit(3, 10.25, 10.5, false)]);
        var block = new TableBlock(Generator(method).Shape, Rows);
        int ones = 0;
        for (ulong seed = 0; seed < 4; seed++)
        {
            Generator(method).Fill(block, Rows, seed, 0, where);
            for (int i = 0; i < Rows; i++)
            {
                Assert.IsTrue(where.Holds(block, i));
                ones += (int)block[0][i];
            }
        }
        Assert.IsGreaterThan(0.9 * 4 * Rows, ones); // x is above 10 only with a = 1
    }

    [TestMethod]
    public void Other_columns_of_diffusion_go_with_a_value_that_is_given_as_often_as_in_the_training_distribution()
    {
        var block = new TableBlock(s_diffusion.Shape, Rows);
        double ones = 0;
        for (ulong seed = 0; seed < 4; seed++)
        {
            s_diffusion.Fill(block, Rows, seed, 0, new TableCondition([new CategoryLimit(2, [false, false, true])]));
            for (int i = 0; i < Rows; i++)
            {
                Assert.AreEqual(2, block[2][i]);
                ones += block[0][i] / (4 * Rows);
            }
        }
        // Bayes: c is 2 by chance, or where a and b are 1.
        double with = 0.3 * (0.5 * 0.8 + 0.2 / 3), without = 0.7 * 0.2 / 3;
        Assert.AreEqual(with / (with + without), ones, 0.05);
    }

    [TestMethod]
    [DataRow("one number")]
    [DataRow("one category")]
    [DataRow("one constant")]
    [DataRow("all missing")]
    [DataRow("numbers")]
    [DataRow("categories")]
    [DataRow("a row for each category")]
    public void A_table_of_any_columns_is_learned_by_diffusion(string kind)
    {
        const int rows = 200;
        var random = new SplitMix64(3);
        double[] number = new double[rows], constant = new double[rows], missing = new double[rows];
        int[] category = new int[rows], each = [.. Enumerable.Range(0, rows)];
        Array.Fill(constant, -1e30);
        Array.Fill(missing, double.NaN);
        for (int i = 0; i < rows; i++)
            (number[i], category[i]) = (Math.Round(random.NextDouble() * 1e6, 2), random.Next(3));
        (TableColumn, Array)[] columns = kind switch
        {
            "one number" => [(ArrayTable.Number("x", number, 2), number)],
            "one category" => [(ArrayTable.Category("c", 3), category)],
            "one constant" => [(ArrayTable.Number("k", constant), constant)],
            "all missing" => [(ArrayTable.Number("m", missing), missing)],
            "numbers" => [(ArrayTable.Number("x", number, 2), number), (ArrayTable.Number("k", constant), constant)],
            "categories" => [(ArrayTable.Category("c", 3), category), (ArrayTable.Category("d", 3), category)],
            _ => [(ArrayTable.Category("each", rows), each), (ArrayTable.Number("x", number, 2), number)],
        };
        var shape = new TableShape([.. columns.Select(c => c.Item1)]);
        using ITableGenerator generator = Fit(
            new ArrayTable(shape, [.. columns.Select(c => c.Item2)]),
            new TabularDiffusionOptions { HiddenWidth = 8, Blocks = 1, Epochs = 2 });
        var block = new TableBlock(shape, Rows);
        generator.Fill(block, Rows, 1, 0, null);
        for (int c = 0; c < shape.Columns.Count; c++)
        {
            TableColumn column = shape.Columns[c];
            bool all = column.Kind == TableColumnKind.Categorical
                ? block[c].All(v => v >= 0 && v < column.Categories)
                : column.HasMissing ? block[c].All(double.IsNaN) : block[c].All(v => v >= column.Min && v <= column.Max);
            Assert.IsTrue(all, column.Name);
        }
    }

    [TestMethod]
    public void Rows_of_the_GAN_have_the_categories_and_numbers_that_are_asked_for()
    {
        var where = new TableCondition(
        [
            new CategoryLimit(2, [false, false, true]), new CategoryLimit(0, [true, false]),
            new NumberLimit(3, 0.25, 0.5, false),
        ]);
        var block = new TableBlock(s_gan.Shape, Rows);
        s_gan.Fill(block, Rows, 1, 0, where);
        for (int i = 0; i < Rows; i++)
            Assert.IsTrue(where.Holds(block, i));
    }

    [TestMethod]
    [DataRow("vae")]
    [DataRow("diffusion")]
    [DataRow("gan")]
    public void Constant_and_missing_columns_and_thousands_of_categories_are_learned(string method)
    {
        const int rows = 3000;
        int[] many = [.. Enumerable.Range(0, rows)], one = new int[rows];
        double[] constant = [.. Enumerable.Repeat(2.5, rows)], missing = [.. Enumerable.Repeat(double.NaN, rows)];
        var shape = new TableShape(
        [
            ArrayTable.Category("many", rows), ArrayTable.Category("one", 1), ArrayTable.Number("constant", constant),
            ArrayTable.Number("missing", missing),
        ]);
        using ITableGenerator generator = Fit(new ArrayTable(shape, [many, one, constant, missing]), method switch
        {
            "vae" => new TabularVaeOptions { HiddenWidth = 8, Epochs = 1 },
            "gan" => new TabularGanOptions { HiddenLayers = [8], Epochs = 1 },
            _ => new TabularDiffusionOptions { HiddenWidth = 8, Blocks = 1, Epochs = 1 },
        });
        var block = new TableBlock(shape, Rows);
        generator.Fill(block, Rows, 1, 0, null);
        Assert.IsTrue(block[2].All(v => v == 2.5));
        Assert.IsTrue(block[3].All(double.IsNaN));
        Assert.IsGreaterThan(100, block[0].Distinct().Count());
    }

    private static ITableGenerator Generator(string method) => method switch
    {
        "vae" => s_vae,
        "gan" => s_gan,
        _ => s_diffusion,
    };

    private static ITableGenerator Fit(ITableSource table, TabularOptions options)
    {
        options.Validate();
        return TabularEstimator.Fit(
            table, options, new TrainingContext { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false });
    }

    private static string Text(ITableGenerator generator, ulong seed, TableCondition? where)
    {
        var block = new TableBlock(generator.Shape, Rows);
        generator.Fill(block, Rows, seed, 0, where);
        return string.Join(' ', Enumerable.Range(0, Rows).Select(
            i => $"{block[0][i]}{block[1][i]}{block[2][i]}{block[3][i]}"));
    }
}
