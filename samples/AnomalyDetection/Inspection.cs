using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace AnomalyDetection;

/// <summary>Finds strange pictures, and where they are: learns from sound ones alone, and draws maps of others.</summary>
internal static class Inspection
{
    private const int Shown = 8; // of each kind, on the sheet

    private static readonly string[] s_endings = [".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"];

    /// <summary>
    /// Trains on pictures of things, and judges others: of a folder with <c>train</c>, all of whose pictures are sound, and
    /// <c>test</c>, with a folder for each kind, of which <c>good</c> is sound, as MVTec's data sets are; or all of one folder.
    /// Null: plates that the sample draws.
    /// </summary>
    public static void Run(MLContext ml, string? folder, ImageShape shape, double contamination, int? epochs, int seed, string target)
    {
        (IDataView train, IDataView test) = folder is null
            ? (ml.Data.LoadFromEnumerable(Plates.Train(seed, 400)), ml.Data.LoadFromEnumerable(Plates.Test(seed, 120)))
            : (Load(ml, folder, "train"), Load(ml, folder, "test"));
        using VectorTransformer detector = Report.Training(progress => ml.AnomalyDetection.Trainers.ImageAutoencoder(new ImageAutoencoderOptions
        {
            FeatureColumnName = "Image",
            ImageShape = shape,
            Resize = ImageResize.Stretch,
            Score = ImageScore.Structure, // whatever the light
            Epochs = epochs ?? 1, // structure is compared with stored pictures, and takes no long training
            Contamination = contamination,
            Seed = seed,
            AnomalyMapColumnName = "Map",
            NonFiniteValues = NonFiniteValues.DropRow, // files that are no pictures
            Progress = progress,
        }).Fit(train));

        IDataView scored = detector.Transform(test);
        string[] kinds = [.. scored.GetColumn<string>("Kind")];
        DetectionReport report = DetectionReport.Create(scored, new()
        {
            LabelColumnName = kinds.Distinct().Count() > 1 ? "Kind" : null, NormalLabels = [Plates.Sound, "ok", "sound", "normal"],
            Threshold = detector.Threshold,
        });
        Report.Figures(report);
        (string saved, string page, string sheet) =
            (Path.Combine(target, "detector.zip"), Path.Combine(target, "report.html"), Path.Combine(target, "maps.png"));
        ml.Model.Save(detector, inputSchema: null, saved); // a schema of images cannot be saved
        report.SaveHtml(page, folder is null ? "Strange plates" : $"Strange pictures of {Path.GetFileName(folder)}");
        SaveSheet(ml, scored, kinds, shape, sheet);
        Console.WriteLine($"model:   {saved}\npage:    {page}\nmaps:    {sheet}: of each kind a line of the strangest pictures, and where they are strange");
    }

    // For each kind a line of pictures and one of their maps, the strangest first.
    private static void SaveSheet(MLContext ml, IDataView scored, string[] kinds, ImageShape shape, string path)
    {
        float[] scores = [.. scored.GetColumn<float>("Score")];
        int[][] lines =
        [
            .. from i in Enumerable.Range(0, kinds.Length)
               orderby scores[i] descending
               group i by kinds[i] into kind
               orderby kind.Key
               select kind.Take(Shown).ToArray(),
        ];
        Dictionary<int, MLImage> images = Copies("Image"), maps = Copies("Map");
        Photograph[] cells = [.. lines.SelectMany(line => Row(images, line).Concat(Row(maps, line)))];
        ml.Data.LoadFromEnumerable(cells).SaveGrid("Image", path, rows: cells.Length / Shown, columns: Shown, shape);

        // Of kinds with few pictures the last places are empty.
        static IEnumerable<Photograph> Row(Dictionary<int, MLImage> from, int[] line) =>
            Enumerable.Range(0, Shown).Select(place => new Photograph { Image = place < line.Length ? from[line[place]] : null });

        // A picture that is read from a file lasts until the next row is read.
        Dictionary<int, MLImage> Copies(string column) => scored.GetColumn<MLImage>(column)
            .Select((image, row) => (image, row)).Where(pair => lines.Any(line => line.Contains(pair.row)))
            .ToDictionary(pair => pair.row, pair => MLImage.CreateFromPixels(
                pair.image.Width, pair.image.Height, pair.image.PixelFormat, pair.image.Pixels));
    }

    private static IDataView Load(MLContext ml, string folder, string part)
    {
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"There is no folder {folder}.");
        string at = Path.Combine(folder, part);
        bool isSplit = Directory.Exists(Path.Combine(folder, "train")) && Directory.Exists(Path.Combine(folder, "test"));
        string root = isSplit ? at : folder;
        var files = Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Where(file => s_endings.Contains(Path.GetExtension(file).ToLowerInvariant()))
            .Select(file => new
            {
                Path = Path.GetFullPath(file),
                Kind = isSplit ? Path.GetRelativePath(root, Path.GetDirectoryName(file)!).Split(Path.DirectorySeparatorChar)[0] : Plates.Sound,
            }).ToArray();
        if (files.Length == 0)
            throw new InvalidDataException($"There are no pictures in {root}.");
        IDataView paths = ml.Data.LoadFromEnumerable(files);
        return ml.Transforms.LoadImages("Image", imageFolder: null, "Path").Fit(paths).Transform(paths);
    }
}
