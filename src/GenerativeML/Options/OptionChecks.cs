using System.Numerics;
using System.Runtime.CompilerServices;

namespace GenerativeML;

/// <summary>The range checks of options: each error names the option, the range and the value.</summary>
internal static class OptionChecks
{
    /// <summary>The widest hidden layer or latent vector.</summary>
    public const int MaxWidth = 1 << 16;

    public static void AtLeast<T>(T value, T least, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : INumber<T>
    {
        if (!(value >= least))
            throw Out(option, value, $"at least {least}");
    }

    /// <summary>Both ends belong to the range.</summary>
    public static void Within<T>(
        T value, T least, T most, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : INumber<T>
    {
        if (!(value >= least && value <= most))
            throw Out(option, value, $"between {least} and {most}");
    }

    /// <summary>The same of an option that may be left open.</summary>
    public static void Within<T>(
        T? value, T least, T most, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : struct, INumber<T> => Within(value ?? least, least, most, option);

    /// <summary>The widths of hidden layers: at most 64 layers, each of 1 to 65,536 units. Null: left open.</summary>
    public static void Layers(
        IReadOnlyList<int>? widths, [CallerArgumentExpression(nameof(widths))] string option = "")
    {
        Within(widths?.Count ?? 0, 0, 64, option + ".Count");
        foreach (int width in widths ?? [])
            Within(width, 1, MaxWidth, option);
    }

    /// <summary>The lower end belongs to the range, the upper does not.</summary>
    public static void WithinHalfOpen<T>(
        T value, T least, T below, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : INumber<T>
    {
        if (!(value >= least && value < below))
            throw Out(option, value, $"at least {least} and below {below}");
    }

    /// <summary>The same of an option that may be left open.</summary>
    public static void WithinHalfOpen<T>(
        T? value, T least, T below, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : struct, INumber<T> => WithinHalfOpen(value ?? least, least, below, option);

    public static void PositiveFinite(double value, [CallerArgumentExpression(nameof(value))] string option = "")
    {
        if (!(value > 0 && double.IsFinite(value)))
            throw Out(option, value, $"positive and finite");
    }

    /// <summary>Null: left open.</summary>
    public static void NonNegativeFinite(double? value, [CallerArgumentExpression(nameof(value))] string option = "")
    {
        if (value is double number && !(number >= 0 && double.IsFinite(number)))
            throw Out(option, number, $"zero or positive, and finite");
    }

    public static void Defined<T>(T value, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : struct, Enum
    {
        if (!Enum.IsDefined(value))
            throw Out(option, value, $"one of {string.Join(", ", Enum.GetNames<T>())}");
    }

    // The range is formattable for the same reason as the rest: 0.5 is written so in every culture.
    private static ArgumentOutOfRangeException Out(string option, object value, FormattableString range) => new(
        option,
        value,
        FormattableString.Invariant($"Option {option} must be {FormattableString.Invariant(range)}, but is {value}."));
}
