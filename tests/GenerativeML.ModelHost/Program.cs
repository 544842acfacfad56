using System.Globalization;
using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Data;

// A program that was never told which package trained a model: loads it, scores rows, saves it again.
//   GenerativeML.ModelHost <model.zip> <rows.csv> <scores> <saved again.zip>     and lists the process's modules
//   GenerativeML.ModelHost <model.zip> generate <rows> <rows.txt> <column> …    writes columns of rows under seed 7
//   GenerativeML.ModelHost <model.zip> <text>        continues the text, scores it and lists the process's modules
if (AppDomain.CurrentDomain.GetAssemblies().Any(a => a.GetName().Name!.Equals("GenerativeML", StringComparison.Ordinal)))
    throw new InvalidOperationException("The package is loaded before anybody asked for it.");

var ml = new MLContext();
ITransformer model = ml.Model.Load(args[0], out DataViewSchema schema);
if (args.Length == 2)
{
    IDataView read = model.Transform(ml.Data.LoadFromEnumerable([new Line { Text = args[1] }]));
    Console.WriteLine(read.GetColumn<string>("GeneratedText").Single().Replace('\n', ' '));
    Console.WriteLine(BitConverter.SingleToInt32Bits(read.GetColumn<float>("Score").Single()));
    ListModules();
    return;
}

if (args[1] == "generate")
{
    // The one that makes rows.
    MethodInfo generate = model.GetType().GetMethods().Single(m => m.Name == "Generate" && m.GetParameters()[0].ParameterType == typeof(long));
    long count = long.Parse(args[2], CultureInfo.InvariantCulture);
    object?[] arguments = [count, 7, .. generate.GetParameters()[2..].Select(_ => (object?)null)];
    var generated = (IDataView)generate.Invoke(model, arguments)!;
    using FileStream file = File.Create(args[3]);
    ml.Data.SaveAsText(ml.Transforms.SelectColumns(args[4..]).Fit(generated).Transform(generated), file);
    return;
}

Reading[] rows =
[
    .. File.ReadLines(args[1]).Select(line => line.Split(','))
        .Select(cells => cells.Select(cell => float.Parse(cell, CultureInfo.InvariantCulture)).ToArray())
        .Select(values => new Reading { A = values[0], B = values[1], C = values[2] }),
];
IDataView scored = model.Transform(ml.Data.LoadFromEnumerable(rows));
File.WriteAllLines(
    args[2],
    scored.GetColumn<float>("Score").Select(s => BitConverter.SingleToInt32Bits(s).ToString(CultureInfo.InvariantCulture)));
ml.Model.Save(model, schema, args[3]);
ListModules();

static void ListModules()
{
    using var self = System.Diagnostics.Process.GetCurrentProcess();
    foreach (System.Diagnostics.ProcessModule module in self.Modules)
        Console.WriteLine(module.FileName);
}

internal sealed class Line
{
    public string Text { get; set; } = "";
}

internal sealed class Reading
{
    public float A { get; set; }

    public float B { get; set; }

    public float C { get; set; }
}
