using System.Text.RegularExpressions;
using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Tables;

/// <summary>Columns that tell rows apart are made anew: unique, and none of the training rows' values.</summary>
[TestClass]
public sealed class IdentifierTests
{
    [TestMethod]
    public void Names_and_numbers_that_differ_in_each_row_are_made_anew_with_a_warning()
    {
        var warnings = new List<string>();
        using TabularTransformer model = ShuffledTable.Fit(Customers(800), warn: warnings.Add);
        IDataView rows = model.Generate(3000, seed: 5);
        string[] names = Texts(rows, "Name");
        Assert.AreEqual(3000, names.Distinct().Count());
        Assert.IsTrue(names.All(name => Regex.IsMatch(name, "^customer [0-9]+$")), names[0]);
        Assert.IsFalse(names.Intersect(Enumerable.Range(0, 800).Select(i => $"customer {i}")).Any());
        int[] ids = [.. rows.GetColumn<int>("Id")];
        Assert.AreEqual(3000, ids.Distinct().Count());
        Assert.IsTrue(ids.All(id => id > 1799));
        Assert.IsTrue(rows.GetColumn<float>("Age").All(age => age is >= 20 and < 70)); // learned as ever
        Assert.HasCount(2, warnings);
        StringAssert.Contains(warnings[0], "'Id'");
        StringAssert.Contains(warnings[1], "'Name'");
        StringAssert.Contains(warnings[1], "Identifiers");
        // The same rows in any order, and from views of any length.
        CollectionAssert.AreEqual(names, Texts(model.Generate(3000, seed: 5), "Name"));
        CollectionAssert.AreEqual(names[..10], Texts(model.Generate(10, seed: 5), "Name"));
        IDataView shuffled = new MLContext(1).Data.ShuffleRows(rows);
        CollectionAssert.AreEquivalent(names, Texts(shuffled, "Name"));
    }

    [TestMethod]
    public void An_option_says_what_an_identifier_is_and_what_is_none()
    {
        var warnings = new List<string>();
        using TabularTransformer model = ShuffledTable.Fit(Customers(100), new PlainOptions
        {
            Identifiers = new() { ["Id"] = IdentifierKind.None, ["Name"] = IdentifierKind.Guid, ["Age"] = IdentifierKind.Sequence },
        }, warn: warnings.Add);
        IDataView rows = model.Generate(2000);
        Assert.AreEqual(2000, Texts(rows, "Name").Select(text => Guid.ParseExact(text, "D")).Distinct().Count());
        Assert.AreEqual('4', Texts(rows, "Name")[7][14]);
        Assert.IsTrue(rows.GetColumn<int>("Id").All(id => id is >= 1000 and < 1100));
        CollectionAssert.AreEqual(Enumerable.Range(0, 2000).Select(i => 70f + i).ToArray(), rows.GetColumn<float>("Age").ToArray());
        Assert.IsEmpty(warnings);
    }

    [TestMethod]
    [DataRow("letters and digits", "^[A-Z]{2}-[0-9]{4}$", 1000)]
    [DataRow("cards", "^[0-9]{4} [0-9]{4} [0-9]{4} [0-9]{4}$", 1000)]
    [DataRow("accounts", "^DE[0-9]{20}$", 1000)]
    [DataRow("mail", "^[a-z]+[.][a-z]+@[a-z]+[.]org$", 1000)]
    [DataRow("hex", "^[0-9a-f]{12}$", 1000)]
    [DataRow("padded", "^no [0-9]{5}$", 900)]
    [DataRow("crowded letters", "^[A-Z]{3,}$", 15_000)]
    [DataRow("sentences", "^The .+[.]$", 1000)]
    [DataRow("same", "^x[0-9]+$", 50)]
    public void Patterns_are_kept_and_no_value_is_a_real_one_or_comes_twice(string kind, string pattern, int rows)
    {
        var random = new SplitMix64(3);
        HashSet<string> made = [];
        for (int i = 0; made.Count < rows && i < 50 * rows; i++)
        {
            made.Add(kind switch
            {
                "letters and digits" => $"{Letter('A')}{Letter('A')}-{random.Next(10)}{random.Next(10)}{random.Next(10)}{random.Next(10)}",
                "cards" => $"{4000 + random.Next(1000)} {1000 + random.Next(9000)} {1000 + random.Next(9000)} {1000 + random.Next(9000)}",
                "accounts" => $"DE{10 + random.Next(90)}{random.Next() % 900_000_000 + 100_000_000}{random.Next() % 900_000_000 + 100_000_000}",
                "mail" => $"{Word(3)}.{Word(5)}@{Word(4)}.org",
                "hex" => $"{random.Next() % (1UL << 48):x12}",
                "padded" => $"no {i:D5}",
                "crowded letters" => $"{Letter('A')}{Letter('A')}{Letter('A')}",
                "sentences" => $"The {string.Join(' ', Enumerable.Range(0, 2 + random.Next(4)).Select(_ => Word(3)))}.",
                _ => "x",
            });
        }
        string[] real = [.. made];
        TableView data = new TableView(Math.Max(real.Length, 50))
            .Add("Key", TextDataViewType.Instance, row => real[row % real.Length].AsMemory())
            .Add("Number", NumberDataViewType.Single, row => row % 10 / 4f);
        using TabularTransformer model = ShuffledTable.Fit(
            data, new PlainOptions { Identifiers = new() { ["Key"] = IdentifierKind.Pattern } });
        string[] texts = Texts(model.Generate(20_000, seed: 2), "Key");
        Assert.AreEqual(20_000, texts.Distinct().Count());
        Assert.AreEqual(0, texts.Count(made.Contains));
        Assert.AreEqual(0, texts.Count(text => !Regex.IsMatch(text, pattern)), texts.FirstOrDefault(t => !Regex.IsMatch(t, pattern)));

        char Letter(char first) => (char)(first + random.Next(26));

        string Word(int least) => string.Concat(Enumerable.Range(0, least + random.Next(4)).Select(_ => Letter('a')));
    }

    [TestMethod]
    public void Models_are_saved_with_their_identifiers_and_conditions_on_others_hold()
    {
        var ml = new MLContext(1);
        TableView data = new TableView(200)
            .Add("Id", NumberDataViewType.Int64, row => 5_000_000_000 + row)
            .Add("Mail", TextDataViewType.Instance, row => (row % 4 == 0 ? "" : $"user{row}@example.org").AsMemory())
            .Add("Group", TextDataViewType.Instance, row => (row % 3 == 0 ? "a" : "b").AsMemory());
        using TabularTransformer model = ml.Generative
            .TabularVae(new() { HiddenWidth = 8, Epochs = 1, LabelColumnName = "Group" }).Fit(data);
        using var file = new MemoryStream();
        ml.Model.Save(model, data.Schema, file);
        file.Position = 0;
        using var loaded = (TabularTransformer)ml.Model.Load(file, out _);
        var where = new RowCondition().Equal("Group", "a");
        IDataView rows = loaded.Generate(1500, 4, where);
        CollectionAssert.AreEqual(ViewRows.Read(model.Generate(1500, 4, where)), ViewRows.Read(rows));
        CollectionAssert.AreEqual(Enumerable.Range(200, 1500).Select(i => 5_000_000_000L + i).ToArray(), rows.GetColumn<long>("Id").ToArray());
        Assert.IsTrue(Texts(rows, "Group").All(group => group == "a"));
        string[] mails = Texts(rows, "Mail");
        Assert.AreEqual(0.25, mails.Count(mail => mail.Length == 0) / 1500.0, 0.05); // four deviations
        Assert.AreEqual(mails.Count(mail => mail.Length > 0), mails.Where(mail => mail.Length > 0).Distinct().Count());
        foreach (string column in new[] { "Id", "Mail" })
        {
            var error = Assert.Throws<ArgumentException>(() => loaded.Generate(1, 0, new RowCondition().Missing(column)));
            StringAssert.Contains(error.Message, $"'{column}'");
            StringAssert.Contains(error.Message, "identifier");
        }
    }

    [TestMethod]
    public void Identifiers_that_cannot_be_made_are_refused_by_name_before_any_work()
    {
        Refused<ArgumentOutOfRangeException>(new() { Identifiers = new() { ["Nobody"] = IdentifierKind.Guid } }, "'Nobody'");
        Refused<ArgumentOutOfRangeException>(new() { Identifiers = new() { ["Age"] = IdentifierKind.Pattern } }, "'Age'", "Single");
        Refused<ArgumentOutOfRangeException>(new() { Identifiers = new() { ["Name"] = IdentifierKind.Sequence } }, "'Name'", "String");
        Refused<ArgumentException>(
            new() { LabelColumnName = "Name", Identifiers = new() { ["Name"] = IdentifierKind.Guid } }, "'Name'", "LabelColumnName");
        Assert.Throws<ArgumentOutOfRangeException>(
            () => new PlainOptions { Identifiers = new() { ["Name"] = (IdentifierKind)9 } }.Validate());
        TableView alone = new TableView(30).Add("Key", TextDataViewType.Instance, row => $"{row}".AsMemory());
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => ShuffledTable.Fit(alone)).Message, "nothing to learn");
        TableView small = new TableView(30)
            .Add("Number", NumberDataViewType.Byte, row => (byte)row).Add("X", NumberDataViewType.Single, row => row % 7 / 2f);
        using TabularTransformer model = ShuffledTable.Fit(
            small, new PlainOptions { Identifiers = new() { ["Number"] = IdentifierKind.Sequence } });
        Assert.AreEqual(255, model.Generate(226).GetColumn<byte>("Number").Max());
        string error = Assert.Throws<ArgumentOutOfRangeException>(() => model.Generate(227)).Message;
        StringAssert.Contains(error, "'Number'");
        StringAssert.Contains(error, "226");

        static void Refused<T>(PlainOptions options, params string[] said)
            where T : Exception
        {
            TableView data = Customers(30);
            string message = Assert.Throws<T>(() => ShuffledTable.Fit(data, options)).Message;
            foreach (string part in said)
                StringAssert.Contains(message, part);
            Assert.AreEqual(0, data.Reads.Sum());
        }
    }

    // A checksum that is wrong, a date and an address of a computer are nobody's.
    [TestMethod]
    [DataRow("Contact", "maria@example.org", "mail addresses")]
    [DataRow("Account", "DE89 3704 0044 0532 0130 00", "bank account numbers (IBAN)")]
    [DataRow("Account", "DE89 3704 0044 0532 0130 01", null)]
    [DataRow("Number", "4111-1111-1111-1111", "payment card numbers")]
    [DataRow("Number", "4111-1111-1111-1112", null)]
    [DataRow("Contact", "+49 30 901820", "phone numbers")]
    [DataRow("HomePhone", "(030) 901820", "phone numbers")]
    [DataRow("When", "2021-05-15", null)]
    [DataRow("Host", "192.168.1.10", null)]
    [DataRow("customer_name", "Maria van Dyck", "names")]
    [DataRow("Name", "Ann Berg 12", "names")]
    [DataRow("Work", "Private", null)]
    [DataRow("street", "12 Main Street", "addresses")]
    [DataRow("Home", "12 Main St, Springfield", "addresses")]
    [DataRow("Wohnort", "Lange Straße 12", "addresses")]
    [DataRow("Domicile", "14, rue de Rivoli", "addresses")]
    [DataRow("Plan", "12 Months Premium", null)]
    [DataRow("Step", "2nd way", null)]
    public void Personal_texts_are_told_by_what_they_look_like(string column, string text, string? personal)
    {
        Assert.AreEqual(personal, PersonalTexts.Recognize(column, [text, text, text, "?", "!", text]));
    }

    [TestMethod]
    public void Personal_texts_that_are_learned_are_warned_of()
    {
        var warnings = new List<string>();
        TableView data = new TableView(60).Add("Contact", TextDataViewType.Instance, row => $"user{row % 30}@example.org".AsMemory());
        using TabularTransformer model = ShuffledTable.Fit(data, warn: warnings.Add);
        StringAssert.Contains(warnings.Single(), "'Contact' seems to hold mail addresses");
    }

    /// <summary>Rows with a unique name and number each, and an age.</summary>
    internal static TableView Customers(int rows, int first = 0) => new TableView(rows)
        .Add("Id", NumberDataViewType.Int32, row => 1000 + first + row)
        .Add("Name", TextDataViewType.Instance, row => $"customer {first + row}".AsMemory())
        .Add("Age", NumberDataViewType.Single, row => 20f + row * 7 % 50);

    private static string[] Texts(IDataView rows, string column) =>
        [.. rows.GetColumn<ReadOnlyMemory<char>>(column).Select(text => text.ToString())];
}
