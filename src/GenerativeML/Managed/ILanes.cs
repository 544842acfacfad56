using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML;

/// <summary>
/// The vector instructions that the kernels need, so that each kernel is written once: the compiler makes one version
/// of it for each width.
/// </summary>
/// <typeparam name="TVector">The vector of Single that one instruction works on.</typeparam>
internal interface ILanes<TVector>
    where TVector : struct
{
    /// <summary>Numbers in a vector.</summary>
    static abstract int Count { get; }

    /// <summary>Whether there are registers for two dozen vectors.</summary>
    static abstract bool HasManyRegisters { get; }

    /// <summary>The same number in every lane.</summary>
    static abstract TVector All(float value);

    /// <summary>The number that is there, in every lane.</summary>
    static abstract unsafe TVector All(float* source);

    /// <summary>Reads the vector that is there.</summary>
    static abstract unsafe TVector Load(float* source);

    /// <summary>Writes a vector.</summary>
    static abstract unsafe void Store(TVector value, float* destination);

    /// <summary>a + b.</summary>
    static abstract TVector Add(TVector a, TVector b);

    /// <summary>a − b.</summary>
    static abstract TVector Subtract(TVector a, TVector b);

    /// <summary>a · b.</summary>
    static abstract TVector Multiply(TVector a, TVector b);

    /// <summary>a / b.</summary>
    static abstract TVector Divide(TVector a, TVector b);

    /// <summary>|a|.</summary>
    static abstract TVector Abs(TVector a);

    /// <summary>The larger and the smaller.</summary>
    static abstract TVector Max(TVector a, TVector b);

    /// <inheritdoc cref="Max"/>
    static abstract TVector Min(TVector a, TVector b);

    /// <summary>a where <paramref name="x"/> is not below <paramref name="limit"/>, and b elsewhere.</summary>
    static abstract TVector Select(TVector x, TVector limit, TVector a, TVector b);

    /// <summary>The sum of all lanes.</summary>
    static abstract float Sum(TVector a);

    /// <summary>The largest of all lanes.</summary>
    static abstract float Largest(TVector a);

    /// <summary>The nearest whole number.</summary>
    static abstract TVector Round(TVector a);

    /// <summary>2ⁿ for whole n from −126 to 127.</summary>
    static abstract TVector PowerOfTwo(TVector n);

    /// <summary>Reads the vector that starts <paramref name="offset"/> numbers on.</summary>
    static abstract TVector Load(ref float source, nuint offset);

    /// <summary>Reads as many bfloat16 numbers, the upper halves of Singles, and widens them.</summary>
    static abstract TVector Load(ref ushort source, nuint offset);

    /// <summary>Writes a vector.</summary>
    static abstract void Store(TVector value, ref float destination, nuint offset);

    /// <summary>a·b + c, rounded once where the processor can.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);
}

/// <summary>Sixteen numbers at once: AVX-512.</summary>
internal readonly struct Lanes512 : ILanes<Vector512<float>>
{
    public static int Count => 16;

    public static bool HasManyRegisters => true;

    public static Vector512<float> All(float value) => Vector512.Create(value);

    public static unsafe Vector512<float> All(float* source) => Vector512.Create(*source);

    public static unsafe Vector512<float> Load(float* source) => Vector512.Load(source);

    public static unsafe void Store(Vector512<float> value, float* destination) => value.Store(destination);

    public static Vector512<float> Add(Vector512<float> a, Vector512<float> b) => a + b;

    public static Vector512<float> Subtract(Vector512<float> a, Vector512<float> b) => a - b;

    public static Vector512<float> Multiply(Vector512<float> a, Vector512<float> b) => a * b;

    public static Vector512<float> Divide(Vector512<float> a, Vector512<float> b) => a / b;

    public static Vector512<float> Abs(Vector512<float> a) => Vector512.Abs(a);

    public static Vector512<float> Max(Vector512<float> a, Vector512<float> b) => Vector512.MaxNative(a, b);

    public static Vector512<float> Min(Vector512<float> a, Vector512<float> b) => Vector512.MinNative(a, b);

    public static Vector512<float> Select(
        Vector512<float> x, Vector512<float> limit, Vector512<float> a, Vector512<float> b) =>
        Vector512.ConditionalSelect(Vector512.GreaterThanOrEqual(x, limit), a, b);

    public static float Sum(Vector512<float> a) => Vector512.Sum(a);

    public static float Largest(Vector512<float> a) =>
        Lanes256.Largest(Vector256.MaxNative(a.GetLower(), a.GetUpper()));

    public static Vector512<float> Round(Vector512<float> a) => Vector512.Round(a);

    public static Vector512<float> PowerOfTwo(Vector512<float> n) =>
        Vector512.ShiftLeft(Vector512.ConvertToInt32Native(n) + Vector512.Create(127), 23).AsSingle();

    public static Vector512<float> Load(ref float source, nuint offset) =>
        Vector512.LoadUnsafe(ref source, offset);

    public static Vector512<float> Load(ref ushort source, nuint offset)
    {
        Vector512<ushort> halves = Vector256.LoadUnsafe(ref source, offset).ToVector512Unsafe();
        return Vector512.ShiftLeft(Vector512.WidenLower(halves), 16).AsSingle();
    }

    public static void Store(Vector512<float> value, ref float destination, nuint offset) =>
        value.StoreUnsafe(ref destination, offset);

    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) =>
        Vector512.MultiplyAddEstimate(a, b, c);
}

/// <summary>Eight numbers at once: AVX2.</summary>
internal readonly struct Lanes256 : ILanes<Vector256<float>>
{
    public static int Count => 8;

    public static bool HasManyRegisters => false;

    public static Vector256<float> All(float value) => Vector256.Create(value);

    public static unsafe Vector256<float> All(float* source) => Vector256.Create(*source);

    public static unsafe Vector256<float> Load(float* source) => Vector256.Load(source);

    public static unsafe void Store(Vector256<float> value, float* destination) => value.Store(destination);

    public static Vector256<float> Add(Vector256<float> a, Vector256<float> b) => a + b;

    public static Vector256<float> Subtract(Vector256<float> a, Vector256<float> b) => a - b;

    public static Vector256<float> Multiply(Vector256<float> a, Vector256<float> b) => a * b;

    public static Vector256<float> Divide(Vector256<float> a, Vector256<float> b) => a / b;

    public static Vector256<float> Abs(Vector256<float> a) => Vector256.Abs(a);

    public static Vector256<float> Max(Vector256<float> a, Vector256<float> b) => Vector256.MaxNative(a, b);

    public static Vector256<float> Min(Vector256<float> a, Vector256<float> b) => Vector256.MinNative(a, b);

    public static Vector256<float> Select(
        Vector256<float> x, Vector256<float> limit, Vector256<float> a, Vector256<float> b) =>
        Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(x, limit), a, b);

    public static float Sum(Vector256<float> a) => Vector256.Sum(a);

    public static float Largest(Vector256<float> a) =>
        Lanes128.Largest(Vector128.MaxNative(a.GetLower(), a.GetUpper()));

    public static Vector256<float> Round(Vector256<float> a) => Vector256.Round(a);

    public static Vector256<float> PowerOfTwo(Vector256<float> n) =>
        Vector256.ShiftLeft(Vector256.ConvertToInt32Native(n) + Vector256.Create(127), 23).AsSingle();

    public static Vector256<float> Load(ref float source, nuint offset) =>
        Vector256.LoadUnsafe(ref source, offset);

    public static Vector256<float> Load(ref ushort source, nuint offset)
    {
        Vector256<ushort> halves = Vector128.LoadUnsafe(ref source, offset).ToVector256Unsafe();
        return Vector256.ShiftLeft(Vector256.WidenLower(halves), 16).AsSingle();
    }

    public static void Store(Vector256<float> value, ref float destination, nuint offset) =>
        value.StoreUnsafe(ref destination, offset);

    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) =>
        Vector256.MultiplyAddEstimate(a, b, c);
}

/// <summary>Four numbers at once: ARM's AdvSimd, SSE, and, slowly, any other processor.</summary>
internal readonly struct Lanes128 : ILanes<Vector128<float>>
{
    public static int Count => 4;

    public static bool HasManyRegisters => false;

    public static Vector128<float> All(float value) => Vector128.Create(value);

    public static unsafe Vector128<float> All(float* source) => Vector128.Create(*source);

    public static unsafe Vector128<float> Load(float* source) => Vector128.Load(source);

    public static unsafe void Store(Vector128<float> value, float* destination) => value.Store(destination);

    public static Vector128<float> Add(Vector128<float> a, Vector128<float> b) => a + b;

    public static Vector128<float> Subtract(Vector128<float> a, Vector128<float> b) => a - b;

    public static Vector128<float> Multiply(Vector128<float> a, Vector128<float> b) => a * b;

    public static Vector128<float> Divide(Vector128<float> a, Vector128<float> b) => a / b;

    public static Vector128<float> Abs(Vector128<float> a) => Vector128.Abs(a);

    public static Vector128<float> Max(Vector128<float> a, Vector128<float> b) => Vector128.MaxNative(a, b);

    public static Vector128<float> Min(Vector128<float> a, Vector128<float> b) => Vector128.MinNative(a, b);

    public static Vector128<float> Select(
        Vector128<float> x, Vector128<float> limit, Vector128<float> a, Vector128<float> b) =>
        Vector128.ConditionalSelect(Vector128.GreaterThanOrEqual(x, limit), a, b);

    public static float Sum(Vector128<float> a) => Vector128.Sum(a);

    public static float Largest(Vector128<float> a)
    {
        a = Vector128.MaxNative(a, Vector128.Shuffle(a, Vector128.Create(2, 3, 0, 1)));
        return MathF.Max(a.GetElement(0), a.GetElement(1));
    }

    public static Vector128<float> Round(Vector128<float> a) => Vector128.Round(a);

    public static Vector128<float> PowerOfTwo(Vector128<float> n) =>
        Vector128.ShiftLeft(Vector128.ConvertToInt32Native(n) + Vector128.Create(127), 23).AsSingle();

    public static Vector128<float> Load(ref float source, nuint offset) =>
        Vector128.LoadUnsafe(ref source, offset);

    public static Vector128<float> Load(ref ushort source, nuint offset)
    {
        Vector128<ushort> halves = Vector64.LoadUnsafe(ref source, offset).ToVector128Unsafe();
        return Vector128.ShiftLeft(Vector128.WidenLower(halves), 16).AsSingle();
    }

    public static void Store(Vector128<float> value, ref float destination, nuint offset) =>
        value.StoreUnsafe(ref destination, offset);

    public static Vector128<float> MultiplyAdd(Vector128<float> a, Vector128<float> b, Vector128<float> c) =>
        Vector128.MultiplyAddEstimate(a, b, c);
}
