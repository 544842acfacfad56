using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Loader;
using System.Text.Json;
using GenerativeML.Persistence;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML.Tests.Platform;

/// <summary>How ML.NET saves and loads what a plugin gives it.</summary>
[TestClass]
public sealed class SavedModelTests
{
    private static readonly DataViewSchema s_schema =
        new MLContext().Data.LoadFromEnumerable(PlatformRow.Make(1)).Schema;

    [TestMethod]
    public void The_loader_wants_the_assembly_in_the_version_that_the_file_names()
    {
        // By itself the runtime gives no older one: a model saved by 1.1.0.0 does not load where 1.0.0.0 is.
        Version? wanted = null;
        AssemblyLoadContext.Default.Resolving += (_, name) =>
        {
            wanted = name.Name == "Nowhere" ? name.Version : wanted;
            return null;
        };
        MemoryStream saved = Save(ProbeTransformer.SaveHeader(
            assembly: "Nowhere, Version=1.1.0.0, Culture=neutral, PublicKeyToken=null"));
        Assert.ThrowsExactly<FileNotFoundException>(() => new MLContext().Model.Load(saved, out _));
        Assert.AreEqual(new Version(1, 1, 0, 0), wanted);
    }

    [TestMethod]
    public void A_class_that_derives_from_one_of_a_missing_assembly_fails_the_load()
    {
        MemoryStream saved = Save(ProbeTransformer.SaveHeader(assembly: AssemblyWithMissingType("Heir", derives: true)));
        Assert.ThrowsExactly<ReflectionTypeLoadException>(() => new MLContext().Model.Load(saved, out _));
    }

    [TestMethod]
    public void A_field_of_a_missing_type_does_not()
    {
        // What fails then is only that nothing in the assembly loads the model.
        MemoryStream saved = Save(ProbeTransformer.SaveHeader(assembly: AssemblyWithMissingType("Holder", derives: false)));
        Assert.ThrowsExactly<FormatException>(() => new MLContext().Model.Load(saved, out _));
    }

    [TestMethod]
    public void A_loader_signature_has_at_most_24_characters()
    {
        Save(ProbeTransformer.SaveHeader(loader: new string('x', 24)));
        Assert.ThrowsExactly<InvalidOperationException>(() => Save(ProbeTransformer.SaveHeader(loader: new string('x', 25))));
    }

    [TestMethod]
    [DataRow("SEVENTY")]
    [DataRow("NINECHARS")]
    public void A_model_signature_has_exactly_eight_characters(string signature)
    {
        TargetInvocationException wrapped = Assert.ThrowsExactly<TargetInvocationException>(
            () => Save(ProbeTransformer.SaveHeader(signature)));
        Assert.IsInstanceOfType<InvalidOperationException>(wrapped.InnerException);
    }

    [TestMethod]
    public void A_model_without_a_header_cannot_be_saved() =>
        Assert.ThrowsExactly<InvalidOperationException>(() => Save(_ => { }));

    [TestMethod]
    public void Two_entries_of_one_name_cannot_be_saved() =>
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Save(context =>
        {
            ProbeTransformer.SaveHeader()(context);
            MLNetInternals.WriteEntry(context, "twice", stream => stream.WriteByte(1));
            MLNetInternals.WriteEntry(context, "twice", stream => stream.WriteByte(2));
        }));

    [TestMethod]
    public void Entries_pass_through_files_in_the_temporary_folder_and_leave_none()
    {
        using var folder = new TemporaryFolder();
        var ml = new MLContext { TempFilePath = folder.Path };
        bool wasFile = false;
        using var saved = new MemoryStream();
        ml.Model.Save(
            new ProbeTransformer
            {
                OnSave = context =>
                {
                    ProbeTransformer.SaveHeader()(context);
                    MLNetInternals.WriteEntry(context, "weights", stream => wasFile =
                        stream is FileStream file && file.Name.StartsWith(folder.Path, StringComparison.Ordinal));
                },
            },
            s_schema,
            saved);
        Assert.IsTrue(wasFile, "an entry is written to a file in the folder of MLContext.TempFilePath");
        Assert.IsEmpty(Directory.GetFileSystemEntries(folder.Path));
    }

    [TestMethod]
    public void A_model_saved_without_a_schema_loads_without_one()
    {
        var ml = new MLContext();
        IDataView data = ml.Data.LoadFromEnumerable(PlatformRow.Make(3));
        ITransformer model = ml.Transforms.Concatenate("All", "Value", "Features").Fit(data);
        using var saved = new MemoryStream();
        ml.Model.Save(model, null, saved);
        saved.Position = 0;
        ITransformer loaded = ml.Model.Load(saved, out DataViewSchema schema);
        Assert.IsNull(schema);
        CollectionAssert.AreEqual(
            model.Transform(data).GetColumn<float[]>("All").Last(), loaded.Transform(data).GetColumn<float[]>("All").Last());
    }

    [TestMethod]
    public void A_saved_schema_comes_back_with_types_and_slot_names()
    {
        var ml = new MLContext();
        IDataView data = ml.Data.LoadFromEnumerable(PlatformRow.Make(3));
        IDataView named = ml.Transforms.Concatenate("Pair", "Value", "Features").Fit(data).Transform(data);
        using var saved = new MemoryStream();
        ml.Model.Save(ml.Transforms.CopyColumns("Copy", "Pair").Fit(named), named.Schema, saved);
        saved.Position = 0;
        ml.Model.Load(saved, out DataViewSchema loaded);
        CollectionAssert.AreEqual(
            named.Schema.Select(c => $"{c.Name} {c.Type}").ToArray(), loaded.Select(c => $"{c.Name} {c.Type}").ToArray());
        CollectionAssert.AreEqual(SchemaTests.SlotNames(named.Schema["Pair"]), SchemaTests.SlotNames(loaded["Pair"]));
    }

    [TestMethod]
    public void A_chain_of_transformers_comes_back_equal()
    {
        var ml = new MLContext();
        IDataView data = ml.Data.LoadFromEnumerable(PlatformRow.Make(20));
        var pipeline = ml.Transforms.Concatenate("All", "Value", "Features")
            .Append(ml.Transforms.NormalizeMeanVariance("All", fixZero: false))
            .Append(ml.Transforms.CopyColumns("Copy", "All"))
            .Append(ml.Transforms.SelectColumns("Copy", "Id"));
        ITransformer model = pipeline.Fit(data);
        using var saved = new MemoryStream();
        ml.Model.Save(model, data.Schema, saved);
        saved.Position = 0;
        IDataView expected = model.Transform(data), found = new MLContext().Model.Load(saved, out _).Transform(data);
        CollectionAssert.AreEqual(
            expected.Schema.Select(c => c.ToString()).ToArray(), found.Schema.Select(c => c.ToString()).ToArray());
        CollectionAssert.AreEqual(
            expected.GetColumn<float[]>("Copy").SelectMany(v => v).ToArray(),
            found.GetColumn<float[]>("Copy").SelectMany(v => v).ToArray());
    }

    [TestMethod]
    public void What_is_no_zip_is_a_format_error() =>
        Assert.ThrowsExactly<FormatException>(() => new MLContext().Model.Load(new MemoryStream(new byte[100]), out _));

    [TestMethod]
    public void The_loader_gets_an_environment_that_is_not_the_context_and_knows_its_settings()
    {
        IHostEnvironment? environment = null;
        var probe = new ProbeTransformer();
        var family = new ModelFamily($"Probe {Guid.NewGuid()}", (env, _, _) =>
        {
            environment = env;
            return probe;
        });
        ModelFamilies.Add(family);
        MemoryStream saved = Save(context => ModelFile.Save(
            context, family.Name, (Utf8JsonWriter writer) => writer.WriteNullValue(), stream => stream.WriteByte(0)));
        var ml = new MLContext(seed: 5) { GpuDeviceId = 3, FallbackToCpu = true };
        ITransformer loaded = ml.Model.Load(saved, out _);
        Assert.AreSame(probe, loaded is TransformerChain<ITransformer> chain ? chain.LastTransformer : loaded);
        Assert.IsNotNull(environment);
        Assert.AreNotSame(ml, environment);
        Assert.AreEqual(5, MLNetInternals.SeedOf(environment));
        Assert.AreEqual(3, MLNetInternals.GpuDeviceIdOf(environment));
        Assert.IsTrue(MLNetInternals.FallbackToCpuOf(environment));
    }

    private static MemoryStream Save(Action<ModelSaveContext> save)
    {
        var stream = new MemoryStream();
        new MLContext().Model.Save(new ProbeTransformer { OnSave = save }, s_schema, stream);
        stream.Position = 0;
        return stream;
    }

    /// <summary>
    /// The name of an assembly with a class that derives from a class of an assembly that is nowhere, or has a field of
    /// it.
    /// </summary>
    private static string AssemblyWithMissingType(string name, bool derives)
    {
        var missing = new PersistedAssemblyBuilder(new AssemblyName("Missing"), typeof(object).Assembly);
        Type absent = missing.DefineDynamicModule("Missing")
            .DefineType("Missing.Base", TypeAttributes.Public | TypeAttributes.Class).CreateType();
        var assembly = new PersistedAssemblyBuilder(new AssemblyName(name), typeof(object).Assembly);
        TypeBuilder type = assembly.DefineDynamicModule(name).DefineType(
            $"{name}.Type", TypeAttributes.Public | TypeAttributes.Class, derives ? absent : typeof(object));
        if (!derives)
            type.DefineField("field", absent, FieldAttributes.Public);
        type.CreateType();
        using var image = new MemoryStream();
        assembly.Save(image);
        AssemblyLoadContext.Default.Resolving += (context, wanted) =>
            wanted.Name == name ? context.LoadFromStream(new MemoryStream(image.ToArray())) : null;
        return $"{name}, Version=0.0.0.0, Culture=neutral, PublicKeyToken=null";
    }

    /// <summary>An empty folder of its own, gone with all that is in it when the test ends.</summary>
    private sealed class TemporaryFolder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("platform").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
