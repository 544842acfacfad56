using System.Globalization;
using System.Net;
using System.Text;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;
using TorchSharp;
using TorchSharp.Modules;

namespace GenerativeML;

/// <summary>
/// The course of a training run, of any family: set it as option <see cref="TrainingOptions.Progress"/>, and it keeps what
/// is reported, draws it as a page, and on request writes it for TensorBoard while training goes on.
/// </summary>
/// <remarks>
/// One for each run. Of long runs every other report is forgotten again and again, so that memory stays small; TensorBoard's
/// files have all. It may be read from other threads while training goes on.
/// </remarks>
/// <example>
/// <code>
/// using var curves = new TrainingCurves("runs/first");              // tensorboard --logdir runs
/// var model = ml.Generative.Vae(new() { Progress = curves }).Fit(rows);
/// curves.SaveHtml("curves.html");
/// </code>
/// </example>
public sealed class TrainingCurves : IProgress<TrainingProgress>, IDisposable
{
    private const int MaxReports = 4000;
    private const string Text = "#7c8794"; // is read on white and on black

    private static readonly string[] s_colours = ["#3b7dd8", "#e0663a", "#2c9a6a", "#a15fc4", "#c9a227", "#d84f7f"];

    private readonly Lock _gate = new();
    private readonly List<TrainingProgress> _reports = [];
    private readonly string? _folder;
    private readonly IProgress<TrainingProgress>? _next;
    private SummaryWriter? _writer;
    private long _every = 1, _seen;
    private bool _isClosed;

    /// <summary>Curves of a run that is about to start.</summary>
    /// <param name="tensorBoardFolder">
    /// The folder for TensorBoard's event files, which is made where it is not there: losses under <c>training/</c> and
    /// <c>validation/</c>, <c>learning_rate</c>, <c>rows_per_second</c>. Default: none are written.
    /// </param>
    /// <param name="next">Hears of the same reports.</param>
    /// <exception cref="ArgumentException">The folder's name is empty.</exception>
    public TrainingCurves(string? tensorBoardFolder = null, IProgress<TrainingProgress>? next = null)
    {
        if (tensorBoardFolder is not null)
            ArgumentException.ThrowIfNullOrWhiteSpace(tensorBoardFolder);
        (_folder, _next) = (tensorBoardFolder, next);
    }

    /// <summary>What was reported, in order.</summary>
    public IReadOnlyList<TrainingProgress> Reports
    {
        get
        {
            lock (_gate)
                return [.. _reports];
        }
    }

    /// <summary>Takes a report.</summary>
    /// <param name="value">The report.</param>
    /// <exception cref="InvalidOperationException">TensorBoard's files are wanted, and torch, which writes them, is not there.</exception>
    public void Report(TrainingProgress value)
    {
        ArgumentNullException.ThrowIfNull(value);
        lock (_gate)
        {
            if (_seen++ % _every == 0 || value.IsLast)
                _reports.Add(value);
            if (_reports.Count > MaxReports)
            {
                for (int i = _reports.Count - 2; i > 0; i -= 2)
                    _reports.RemoveAt(i);
                _every *= 2;
            }
            Log(value);
        }
        _next?.Report(value);
    }

    /// <summary>Writes a page with the curves, which needs no other file.</summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    /// <param name="title">The page's title.</param>
    /// <exception cref="InvalidOperationException">Nothing was reported.</exception>
    public void SaveHtml(string path, string title = "Training")
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ArgumentNullException.ThrowIfNull(title);
        byte[] page = Encoding.UTF8.GetBytes(ToHtml(title));
        AtomicFile.Write(path, file => file.Write(page));
    }

    /// <summary>Ends TensorBoard's files. What was kept stays, and what is reported later is kept, too.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            (_writer as IDisposable)?.Dispose();
            (_writer, _isClosed) = (null, true);
        }
    }

    private string ToHtml(string title)
    {
        IReadOnlyList<TrainingProgress> reports = Reports;
        if (reports.Count == 0)
            throw new InvalidOperationException("Nothing was reported: set these curves as option Progress of a trainer, and call Fit.");
        TrainingProgress last = reports[^1];
        string name = WebUtility.HtmlEncode(title);
        return $$"""
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{{name}}</title>
            <style>
            :root { color-scheme: light dark; }
            body { margin: 0; padding: 28px; font: 15px/1.5 system-ui, sans-serif; }
            main { max-width: 900px; margin: auto; }
            svg { display: block; width: 100%; height: auto; break-inside: avoid; }
            h2 { margin: 26px 0 4px; font-size: 18px; }
            p { color: {{Text}}; margin: 0; }
            </style>
            </head>
            <body>
            <main>
            <h1>{{name}}</h1>
            <p>{{WebUtility.HtmlEncode(last.ToString())}}</p>
            <h2>Losses</h2>
            {{Chart("losses", reports, [.. Lines(reports, r => r.Losses, ""), .. Lines(reports, r => r.Validation, "validation ")])}}
            <h2>Learning rate</h2>
            {{Chart("rate", reports, [("learning rate", r => r.LearningRate)])}}
            <h2>Rows per second</h2>
            {{Chart("speed", reports, [("rows per second", r => r.RowsPerSecond)])}}
            </main>
            </body>
            </html>

            """;
    }

    private static IEnumerable<(string Name, Func<TrainingProgress, double> Value)> Lines(
        IReadOnlyList<TrainingProgress> reports, Func<TrainingProgress, IReadOnlyDictionary<string, double>> losses, string kind) =>
        reports.SelectMany(report => losses(report).Keys).Distinct().Select(name => (
            kind + name, (Func<TrainingProgress, double>)(report => losses(report).TryGetValue(name, out double value) ? value : double.NaN)));

    private static string Chart(
        string name, IReadOnlyList<TrainingProgress> reports, IReadOnlyList<(string Name, Func<TrainingProgress, double> Value)> lines)
    {
        const int width = 900, height = 320;
        OxyColor text = OxyColor.Parse(Text);
        var model = new PlotModel
        {
            Culture = CultureInfo.InvariantCulture, DefaultFont = "system-ui, sans-serif", TextColor = text, PlotAreaBorderThickness = new(0, 0, 0, 1), PlotAreaBorderColor = text,
        };
        model.Axes.Add(new LinearAxis { Position = AxisPosition.Bottom, Title = "step", TicklineColor = text, MinorTickSize = 0 });
        model.Axes.Add(new LinearAxis
        {
            Position = AxisPosition.Left, TicklineColor = text, MinorTickSize = 0, MajorGridlineStyle = LineStyle.Solid,
            MajorGridlineColor = OxyColor.FromAColor(60, text),
        });
        if (lines.Count > 1)
            model.Legends.Add(new Legend { LegendPosition = LegendPosition.RightTop, LegendTextColor = text });
        for (int i = 0; i < lines.Count; i++)
        {
            var series = new LineSeries
            {
                Title = lines[i].Name, Color = OxyColor.Parse(s_colours[i % s_colours.Length]), StrokeThickness = 1.8,
                LineStyle = i < s_colours.Length ? LineStyle.Solid : LineStyle.Dash,
            };
            series.Points.AddRange(reports.Select(r => new DataPoint(r.Step, lines[i].Value(r))).Where(p => double.IsFinite(p.Y)));
            model.Series.Add(series);
        }
        // Parts are named within a page: each drawing's apart from the others'.
        return new SvgExporter { Width = width, Height = height, IsDocument = false }.ExportToString(model)
            .Replace("<svg ", $"<svg viewBox=\"0 0 {width} {height}\" role=\"img\" ", StringComparison.Ordinal)
            .Replace("id=\"clipPath", $"id=\"{name}", StringComparison.Ordinal)
            .Replace("#clipPath", $"#{name}", StringComparison.Ordinal);
    }

    private void Log(TrainingProgress value)
    {
        if (_folder is null || _isClosed)
            return;
        if (_writer is null)
        {
            TorchRuntime.EnsureLoaded();
            _writer = torch.utils.tensorboard.SummaryWriter(_folder, createRunName: false);
        }
        int step = (int)Math.Min(value.Step, int.MaxValue); // as far as its steps go
        foreach ((string name, double loss) in value.Losses)
            _writer.add_scalar($"training/{name}", (float)loss, step);
        foreach ((string name, double loss) in value.Validation)
            _writer.add_scalar($"validation/{name}", (float)loss, step);
        _writer.add_scalar("learning_rate", (float)value.LearningRate, step);
        _writer.add_scalar("rows_per_second", (float)value.RowsPerSecond, step);
    }
}
