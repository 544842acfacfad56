using DataFiles;
using SyntheticData;

namespace GenerativeML.Tests.Samples;

/// <summary>The table that the sample makes up.</summary>
[TestClass]
public sealed class LoansTests
{
    [TestMethod]
    public void The_loans_have_columns_of_every_kind_and_a_label_of_two_values()
    {
        string path = Path.GetTempFileName();
        try
        {
            Loans.Write(path, rows: 500, seed: 1);
            string first = File.ReadAllText(path);
            var table = DelimitedFile.Open(path, new());
            string[][] rows = [.. table.Texts()];
            Assert.HasCount(500, rows);
            Assert.AreEqual(5, table.Columns.Count(column => column.IsNumeric));
            int income = table.ColumnOf("income"), label = table.ColumnOf(Loans.Label);
            Assert.IsTrue(table.Columns[income].IsNumeric);
            Assert.IsTrue(rows.Any(row => row[income].Length == 0));
            int late = rows.Count(row => row[label] == "late");
            Assert.IsTrue(late is > 50 and < 250, $"{late} of 500 loans are late");
            Loans.Write(path, rows: 500, seed: 1);
            Assert.AreEqual(first, File.ReadAllText(path));
        }
        finally
        {
            File.Delete(path);
        }
    }
}
