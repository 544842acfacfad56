using System.Collections;
using System.Globalization;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace TorchSharp.Modules;

/// <summary>A tensor that a module trains. It takes the native tensor of <c>data</c>, which is empty afterwards.</summary>
public class Parameter : Tensor
{
    public Parameter(Tensor data, bool requires_grad = true)
        : base(data.requires_grad_(requires_grad).MoveHandle())
    {
    }
}

/// <summary>Modules under their numbers, registered when the list itself is.</summary>
public class ModuleList<T> : Module, IEnumerable<T> where T : Module
{
    private readonly List<T> _items;
    private bool _listed;

    public ModuleList(params T[] modules) : base("ModuleList") => _items = [.. modules];

    public int Count => _items.Count;

    public T this[int index] => _items[index];

    public IEnumerator<T> GetEnumerator() => _items.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    protected override void RegisterComponents()
    {
        if (_listed)
            return;
        _listed = true;
        for (int i = 0; i < _items.Count; i++)
            register_module(i.ToString(CultureInfo.InvariantCulture), _items[i]);
    }
}
