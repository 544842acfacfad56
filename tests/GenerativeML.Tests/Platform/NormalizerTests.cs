using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Platform;

/// <summary>What the normalizers compute.</summary>
[TestClass]
public sealed class NormalizerTests
{
    private readonly MLContext _ml = new();

    private IDataView Data => _ml.Data.LoadFromEnumerable(PlatformRow.Make(101));

    [TestMethod]
    public void Constant_slots_become_zero()
    {
        Assert.AreEqual(0, Last(_ml.Transforms.NormalizeMinMax("Features"))[2]);
        Assert.AreEqual(0, Last(_ml.Transforms.NormalizeMinMax("Features", fixZero: false))[2]);
        Assert.AreEqual(0, Last(_ml.Transforms.NormalizeMeanVariance("Features"))[2]);
        Assert.AreEqual(0, Last(_ml.Transforms.NormalizeMeanVariance("Features", fixZero: false))[2]);
    }

    [TestMethod]
    public void By_default_zero_stays_zero_and_nothing_is_centred()
    {
        Assert.AreEqual(1f, Last(_ml.Transforms.NormalizeMinMax("Features"))[0]);
        // Values 0…100: the mean square is 3350, and the population's deviation √850.
        Assert.AreEqual(100 / Math.Sqrt(3350), Last(_ml.Transforms.NormalizeMeanVariance("Features"))[0], 1e-5);
        Assert.AreEqual(
            50 / Math.Sqrt(850), Last(_ml.Transforms.NormalizeMeanVariance("Features", fixZero: false))[0], 1e-5);
    }

    [TestMethod]
    public void Numbers_that_are_none_do_not_count_and_stay_what_they_are()
    {
        List<PlatformRow> rows = PlatformRow.Make(5);
        rows[1].Features[0] = float.NaN;
        IDataView data = _ml.Data.LoadFromEnumerable(rows);
        float[][] values = [.. _ml.Transforms.NormalizeMinMax("Features").Fit(data).Transform(data).GetColumn<float[]>("Features")];
        Assert.AreEqual(1f, values[4][0]);
        Assert.AreEqual(float.NaN, values[1][0]);
    }

    [TestMethod]
    public void A_scalar_is_normalized_too()
    {
        IDataView output = _ml.Transforms.NormalizeMinMax("Scaled", "Value").Fit(Data).Transform(Data);
        Assert.AreEqual(NumberDataViewType.Single, output.Schema["Scaled"].Type);
        Assert.AreEqual(1f, output.GetColumn<float>("Scaled").Last());
    }

    [TestMethod]
    public void The_column_says_that_it_is_normalized_and_keeps_its_slot_names()
    {
        IDataView output = _ml.Transforms.Concatenate("All", "Value", "Features")
            .Append(_ml.Transforms.NormalizeMeanVariance("All")).Fit(Data).Transform(Data);
        Assert.IsTrue(output.Schema["All"].IsNormalized());
        Assert.IsFalse(Data.Schema["Features"].IsNormalized());
        CollectionAssert.AreEqual(new[] { "Value", "", "", "" }, SchemaTests.SlotNames(output.Schema["All"]));
    }

    [TestMethod]
    public void Vectors_of_variable_length_and_other_types_are_refused()
    {
        IDataView unsized = _ml.Data.LoadFromEnumerable([new UnsizedRow { Features = [1] }]);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ml.Transforms.NormalizeMinMax("Features").Fit(unsized));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ml.Transforms.NormalizeMinMax("Text").Fit(Data));
    }

    private float[] Last(IEstimator<ITransformer> normalizer) =>
        normalizer.Fit(Data).Transform(Data).GetColumn<float[]>("Features").Last();
}
