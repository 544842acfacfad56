using System.Net;
using System.Text;
using OxyPlot;
using OxyPlot.Axes;
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
        (string Name, Func<TrainingProgress, double> Value)[] losses =
            [.. Lines(reports, r => r.Losses, ""), .. Lines(reports, r => r.Validation, "validation ")];
        return ReportPage.Html(title, $"""
            <div class="faint">{WebUtility.HtmlEncode(last.ToString())}</div>
            <h2>Losses{string.Concat(losses.Select((line, i) => Key(line.Name, i)))}</h2>
            <div class="card">{Chart("losses", reports, losses)}</div>
            <h2>Learning rate</h2>
            <div class="card">{Chart("rate", reports, [("learning rate", r => r.LearningRate)])}</div>
            <h2>Rows per second</h2>
            <div class="card">{Chart("speed", reports, [("rows per second", r => r.RowsPerSecond)])}</div>
            """);
    }

    private static IEnumerable<(string Name, Func<TrainingProgress, double> Value)> Lines(
        IReadOnlyList<TrainingProgress> reports, Func<TrainingProgress, IReadOnlyDictionary<string, double>> losses, string kind) =>
        reports.SelectMany(report => losses(report).Keys).Distinct().Select(name => (
            kind + name, (Func<TrainingProgress, double>)(report => losses(report).TryGetValue(name, out double value) ? value : double.NaN)));

    private static string Chart(
        string name, IReadOnlyList<TrainingProgress> reports, (string Name, Func<TrainingProgress, double> Value)[] lines)
    {
        PlotModel model = Charts.Model(new LinearAxis(), "step", new LinearAxis(), "");
        for (int i = 0; i < lines.Length; i++)
        {
            var series = new LineSeries
            {
                Color = Charts.Lines[i % Charts.Lines.Count], StrokeThickness = 1.8,
                LineStyle = i < Charts.Lines.Count ? LineStyle.Solid : LineStyle.Dash,
            };
            series.Points.AddRange(reports.Select(r => new DataPoint(r.Step, lines[i].Value(r))).Where(p => double.IsFinite(p.Y)));
            model.Series.Add(series);
        }
        return Charts.Svg(model, name, $"The course of {name}", 900, 280);
    }

    private static string Key(string name, int line)
    {
        OxyColor colour = Charts.Lines[line % Charts.Lines.Count];
        return $"""<span class="key" style="background:rgb({colour.R},{colour.G},{colour.B})"></span>{WebUtility.HtmlEncode(name)} """;
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
