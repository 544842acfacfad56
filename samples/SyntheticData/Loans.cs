using System.Globalization;

namespace SyntheticData;

/// <summary>
/// A table of loans that nobody ever took: numbers with long tails, whole numbers, texts, gaps, columns that hang
/// together, and a label that follows from the others by more than chance.
/// </summary>
internal static class Loans
{
    /// <summary>The column that says how a loan ended.</summary>
    public const string Label = "outcome";

    private static readonly string[] Jobs = ["clerk", "teacher", "engineer", "nurse", "driver", "retired"];
    private static readonly string[] Purposes = ["car", "home", "studies", "other"];

    /// <summary>Writes the table as CSV.</summary>
    public static void Write(string path, int rows, int seed)
    {
        Random random = new(seed);
        using StreamWriter file = new(path);
        file.WriteLine($"age,job,purpose,income,amount,months,rate,{Label}");
        for (int i = 0; i < rows; i++)
        {
            int age = (int)Math.Clamp(42 + 13 * Normal(random), 18, 85);
            string job = age >= 65 ? "retired" : Jobs[random.Next(Jobs.Length - 1)];
            double level = job switch { "engineer" => 8.5, "teacher" or "nurse" => 8.15, "retired" => 7.6, _ => 7.9 };
            double income = Math.Round(Math.Exp(level + 0.006 * (Math.Min(age, 60) - 40) + 0.3 * Normal(random)), 2);
            string purpose = age < 28 && random.Next(3) == 0 ? "studies" : Purposes[random.Next(Purposes.Length)];
            double wanted = purpose switch { "home" => 14, "car" => 4, "studies" => 3, _ => 2 };
            int amount = 100 * (int)Math.Ceiling(income * wanted * Math.Exp(0.4 * Normal(random)) / 100);
            int months = purpose == "home" ? 60 * random.Next(2, 6) : 12 * random.Next(1, 6);
            double rate = Math.Round(Math.Max(1.2, 3 + 0.8 * Normal(random) + (purpose == "home" ? -0.5 : 1)), 2);
            double burden = amount / (months * income);
            bool repaid = 2.2 - 14 * burden - 0.25 * rate + 0.02 * (age - 40) + 0.6 * Normal(random) > -1;
            string told = random.Next(25) == 0 ? "" : income.ToString(CultureInfo.InvariantCulture);
            file.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{age},{job},{purpose},{told},{amount},{months},{rate},{(repaid ? "repaid" : "late")}"));
        }
    }

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
