using System.Globalization;
using System.Numerics;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>Numbers, counted from one, as the values of a generated column that tells sequences apart, or of keys.</summary>
internal static class GeneratedGroups
{
    /// <summary>A getter of a column's type; keys are modulo their number.</summary>
    public static Delegate Getter(DataViewType type, Func<long> number)
    {
        if (type is TextDataViewType)
        {
            return (ValueGetter<ReadOnlyMemory<char>>)((ref ReadOnlyMemory<char> value) =>
                value = number().ToString(CultureInfo.InvariantCulture).AsMemory());
        }
        ulong keys = (type as KeyDataViewType)?.Count ?? 0;
        return Type.GetTypeCode(type.RawType) switch
        {
            TypeCode.Byte => Number<byte>(),
            TypeCode.SByte => Number<sbyte>(),
            TypeCode.Int16 => Number<short>(),
            TypeCode.UInt16 => Number<ushort>(),
            TypeCode.Int32 => Number<int>(),
            TypeCode.UInt32 => Number<uint>(),
            TypeCode.Int64 => Number<long>(),
            TypeCode.UInt64 => Number<ulong>(),
            TypeCode.Single => Number<float>(),
            _ => Number<double>(),
        };

        ValueGetter<T> Number<T>()
            where T : struct, INumber<T> => (ref T value) =>
            {
                long now = number();
                value = T.CreateTruncating(keys > 0 ? (ulong)(now - 1) % keys + 1 : (ulong)now);
            };
    }
}
