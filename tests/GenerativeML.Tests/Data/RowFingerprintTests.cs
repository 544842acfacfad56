namespace GenerativeML.Tests;

/// <summary>Hashes by which data is known again.</summary>
[TestClass]
public sealed class RowFingerprintTests
{
    private static readonly RowField[] Fields =
        [new("x", FieldKind.Single, 2), new("k", FieldKind.Int64, 1), new("t", FieldKind.Text, 1)];

    private static IReadOnlyList<string> Of(int blockRows, Action<RowBlock>? change = null)
    {
        var all = new RowBlock(Fields, 12);
        for (int i = 0; i < 12; i++)
        {
            all.SingleRow(0, i)[0] = i;
            all.SingleRow(0, i)[1] = -i;
            all.Int64Row(1, i)[0] = i * 5;
            all.Texts(2)[i] = $"row {i}";
        }
        change?.Invoke(all);
        var fingerprint = new RowFingerprint(Fields);
        var block = new RowBlock(Fields, blockRows);
        for (int start = 0; start < 12; start += blockRows)
        {
            int count = Math.Min(blockRows, 12 - start);
            for (int i = 0; i < count; i++)
                all.CopyRow(start + i, block, i);
            fingerprint.Add(block, count);
        }
        return fingerprint.Values;
    }

    [TestMethod]
    public void Blocks_do_not_matter()
    {
        CollectionAssert.AreEqual(Of(12).ToArray(), Of(5).ToArray());
        Assert.IsTrue(Of(1).All(f => f.Length == 16 && f.All(char.IsAsciiHexDigitLower)));
    }

    [TestMethod]
    public void The_least_change_changes_that_of_its_field_alone()
    {
        IReadOnlyList<string> original = Of(4);
        Changes(0, Of(4, b => b.SingleRow(0, 11)[1] = MathF.BitIncrement(-11)));
        Changes(0, Of(4, b => (b.SingleRow(0, 3)[0], b.SingleRow(0, 4)[0]) = (4, 3)));
        Changes(1, Of(4, b => b.Int64Row(1, 0)[0] = 1));
        Changes(2, Of(4, b => (b.Texts(2)[0], b.Texts(2)[1]) = ("row 0r", "ow 1")));

        void Changes(int field, IReadOnlyList<string> changed)
        {
            for (int f = 0; f < Fields.Length; f++)
                Assert.AreEqual(f != field, original[f] == changed[f], $"field {f}");
        }
    }
}
