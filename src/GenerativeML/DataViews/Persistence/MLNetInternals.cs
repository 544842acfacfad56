extern alias LoadableClassStub;

using System.Reflection;
using System.Runtime.CompilerServices;
using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

// ML.NET finds loaders by an attribute that is internal to Microsoft.ML.Core. It is named here through an assembly that
// exists for the compiler only (build/loadable-class-stub); at run time the real one answers, which takes the access
// check off: without the first line the runtime drops the second in silence.
[assembly: IgnoresAccessChecksTo("Microsoft.ML.Core")]
[assembly: LoadableClassStub::Microsoft.ML.LoadableClass(
    typeof(ITransformer),
    typeof(ModelLoader),
    null,
    typeof(LoadableClassStub::Microsoft.ML.SignatureLoadModel),
    "GenerativeML model",
    ModelLoader.LoaderSignature)]

namespace System.Runtime.CompilerServices
{
    /// <summary>Lets this assembly use the internals of another; the runtime knows it by name.</summary>
    [AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
    internal sealed class IgnoresAccessChecksToAttribute(string assemblyName) : Attribute
    {
        public string AssemblyName { get; } = assemblyName;
    }
}

namespace GenerativeML
{
    /// <summary>
    /// Everything of ML.NET that this package needs and that is not public, in one place: saving and loading, the
    /// constructor of a schema promise, and what an environment knows.
    /// </summary>
    internal static class MLNetInternals
    {
        private const BindingFlags Members = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

        private static readonly Assembly s_core = typeof(ModelSaveContext).Assembly;
        private static readonly Type s_loadContext = TypeOf("Microsoft.ML.ModelLoadContext");
        private static readonly Type s_versionInfo = TypeOf("Microsoft.ML.VersionInfo");

        private static readonly ConstructorInfo s_newVersionInfo = s_versionInfo.GetConstructor(
            Members,
            [typeof(string), typeof(uint), typeof(uint), typeof(uint), typeof(string), typeof(string), typeof(string)])
            ?? throw Missing("VersionInfo");

        private static readonly MethodInfo s_setVersionInfo =
            MethodOf(typeof(ModelSaveContext), "SetVersionInfo", s_versionInfo);

        private static readonly MethodInfo s_saveBinaryStream =
            MethodOf(typeof(ModelSaveContext), "SaveBinaryStream", typeof(string), typeof(Action<BinaryWriter>));

        private static readonly MethodInfo s_checkAtModel = MethodOf(s_loadContext, "CheckAtModel", s_versionInfo);

        private static readonly MethodInfo s_tryLoadBinaryStream =
            MethodOf(s_loadContext, "TryLoadBinaryStream", typeof(string), typeof(Action<BinaryReader>));

        /// <summary>Writes the header by which ML.NET finds the loader again.</summary>
        public static void WriteHeader(ModelSaveContext context, ModelHeader header) =>
            Call(s_setVersionInfo, context, VersionInfo(header));

        /// <summary>Checks that a saved model begins with that header.</summary>
        /// <exception cref="FormatException">It is the header of something else, or of a newer version.</exception>
        public static void CheckHeader(object loadContext, ModelHeader header) =>
            Call(s_checkAtModel, loadContext, VersionInfo(header));

        /// <summary>Writes a file of the given name into the model's folder of the zip.</summary>
        public static void WriteEntry(ModelSaveContext context, string name, Action<Stream> write) =>
            Call(s_saveBinaryStream, context, name, (Action<BinaryWriter>)(writer => write(writer.BaseStream)));

        /// <summary>Reads a file of the model's folder; the stream can seek and knows its length.</summary>
        /// <exception cref="FormatException">There is no such file.</exception>
        public static void ReadEntry(object loadContext, string name, Action<Stream> read)
        {
            if (!(bool)Call(s_tryLoadBinaryStream, loadContext, name, (Action<BinaryReader>)(r => read(r.BaseStream)))!)
                throw new FormatException($"The saved model has no file '{name}'.");
        }

        /// <summary>A column of a schema promise.</summary>
        [UnsafeAccessor(UnsafeAccessorKind.Constructor)]
        public static extern SchemaShape.Column NewShape(
            string name,
            SchemaShape.Column.VectorKind kind,
            DataViewType itemType,
            bool isKey = false,
            SchemaShape? annotations = null);

        /// <summary>What is known of a schema, in the form in which estimators promise columns.</summary>
        public static SchemaShape ShapeOf(DataViewSchema schema) => CreateShape(null, schema);

        [UnsafeAccessor(UnsafeAccessorKind.StaticMethod, Name = "Create")]
        private static extern SchemaShape CreateShape(SchemaShape? type, DataViewSchema schema);

        /// <summary>The environment behind a catalog, which a catalog does not show.</summary>
        public static IHostEnvironment EnvironmentOf(object catalog)
        {
            ArgumentNullException.ThrowIfNull(catalog);
            return (IHostEnvironment?)Property(catalog, "IInternalCatalog", "Environment")
                ?? throw Missing("IInternalCatalog.Environment");
        }

        /// <summary>The seed that the <c>MLContext</c> was made with.</summary>
        public static int? SeedOf(IHostEnvironment environment) =>
            (int?)Property(environment, "IHostEnvironmentInternal", "Seed");

        /// <summary>The value of <c>MLContext.GpuDeviceId</c>.</summary>
        public static int? GpuDeviceIdOf(IHostEnvironment environment) =>
            (int?)Property(environment, "IHostEnvironmentInternal", "GpuDeviceId");

        /// <summary>The value of <c>MLContext.FallbackToCpu</c>.</summary>
        public static bool FallbackToCpuOf(IHostEnvironment environment) =>
            (bool?)Property(environment, "IHostEnvironmentInternal", "FallbackToCpu") ?? false;

        // The version of our own files stands in options.json; this one never changes.
        private static object VersionInfo(ModelHeader header) => s_newVersionInfo.Invoke(
        [
            header.Signature, header.Version, header.Version, 0x00010001u, header.LoaderAssembly,
            header.LoaderSignature, null,
        ]);

        private static object? Property(object target, string interfaceName, string property) =>
            target.GetType().GetInterface(interfaceName)?.GetProperty(property)?.GetValue(target);

        // Exceptions travel as they are, not wrapped: FormatException stays FormatException.
        private static object? Call(MethodInfo method, object target, params object?[] arguments) =>
            method.Invoke(target, BindingFlags.DoNotWrapExceptions, null, arguments, null);

        private static Type TypeOf(string name) => s_core.GetType(name) ?? throw Missing(name);

        private static MethodInfo MethodOf(Type type, string name, params Type[] parameters) =>
            type.GetMethod(name, Members, parameters) ?? throw Missing($"{type.Name}.{name}");

        private static NotSupportedException Missing(string member) => new(
            $"{s_core.GetName().Name} {s_core.GetName().Version} has no {member}: this version of ML.NET is not supported.");
    }

    /// <summary>What ML.NET writes at the head of a saved model.</summary>
    /// <param name="Signature">The kind of model; exactly eight characters.</param>
    /// <param name="Version">The version of the format.</param>
    /// <param name="LoaderSignature">The name of the loader; at most 24 characters.</param>
    /// <param name="LoaderAssembly">The full name of the assembly that the loader lives in.</param>
    internal sealed record ModelHeader(string Signature, uint Version, string LoaderSignature, string LoaderAssembly);
}
