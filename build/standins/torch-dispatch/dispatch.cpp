// Calls any ATen operator by name through libtorch's boxed dispatcher, behind a plain C interface, and gives the little
// that is not an operator: autograd, generators, modes, threads. Uses only what libtorch has had unchanged from 1.13
// to 2.x, and no CUDA header, so that one source serves every build of it.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/DefaultDtype.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <memory>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using at::Tensor;
using c10::IValue;
// c10::optional in 1.13, std::optional later.
using MaybeTensor = decltype(std::declval<const IValue&>().toOptional<Tensor>());
// A tensor's handle on the managed side is an owned TensorImpl, so a tensor costs no second allocation.
using TensorPointer = c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;

// Mirrored by Argument.cs.
enum class Kind : int64_t {
  None, Default, Tensor, Integer, Real, Boolean, Integers, Reals, Tensors, Text, Device, Generator
};

struct Value {
  Kind kind;
  union { void* pointer; int64_t integer; double real; };
  int64_t length;  // of a list or a text; the index of a device
};

thread_local std::string last_error;

template <class Body>
int guarded(Body&& body) {
  try {
    body();
    return 0;
  } catch (const c10::Error& error) {
    last_error = error.what_without_backtrace();
  } catch (const std::exception& error) {
    last_error = error.what();
  } catch (...) {
    last_error = "libtorch threw something that is not an exception";
  }
  return 1;
}

Tensor borrow(void* handle) {
  if (handle == nullptr) return Tensor();
  return Tensor(TensorPointer::reclaim_copy(static_cast<c10::TensorImpl*>(handle)));
}

void* release(Tensor tensor) { return tensor.defined() ? tensor.unsafeReleaseTensorImpl() : nullptr; }

std::vector<Tensor> borrow_all(void** handles, int64_t count) {
  std::vector<Tensor> tensors;
  tensors.reserve(count);
  for (int64_t i = 0; i < count; i++) tensors.push_back(borrow(handles[i]));
  return tensors;
}

// What a formal parameter wants of a number or list that the caller gives as integers or plain tensors.
enum class Wants { AsGiven, Real, Boolean, Reals, Booleans, MaybeTensors };

Wants wants(c10::TypePtr type) {
  if (auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  if (type->kind() == c10::TypeKind::FloatType) return Wants::Real;
  if (type->kind() == c10::TypeKind::BoolType) return Wants::Boolean;
  if (auto list = type->cast<c10::ListType>()) {
    switch (list->getElementType()->kind()) {
      case c10::TypeKind::FloatType: return Wants::Reals;
      case c10::TypeKind::BoolType: return Wants::Booleans;
      case c10::TypeKind::OptionalType: return Wants::MaybeTensors;
      default: break;
    }
  }
  return Wants::AsGiven;
}

struct Operator {
  c10::OperatorHandle handle;
  std::vector<Wants> parameters;
  std::vector<IValue> defaults;
};

template <class Element, class Source>
IValue list_of(const void* source, int64_t length) {
  c10::List<Element> list;
  list.reserve(length);
  for (int64_t i = 0; i < length; i++) list.push_back(static_cast<Element>(static_cast<const Source*>(source)[i]));
  return IValue(std::move(list));
}

IValue tensor_list(void** handles, int64_t length, Wants parameter) {
  if (parameter != Wants::MaybeTensors) return IValue(borrow_all(handles, length));
  c10::List<MaybeTensor> list;
  list.reserve(length);
  for (int64_t i = 0; i < length; i++) list.push_back(handles[i] ? MaybeTensor(borrow(handles[i])) : MaybeTensor());
  return IValue(std::move(list));
}

IValue to_ivalue(const Value& value, Wants parameter, const IValue& default_value) {
  switch (value.kind) {
    case Kind::None: return IValue();
    case Kind::Default: return default_value;
    case Kind::Tensor: return IValue(borrow(value.pointer));
    case Kind::Integer:
      if (parameter == Wants::Real) return IValue(static_cast<double>(value.integer));
      if (parameter == Wants::Boolean) return IValue(value.integer != 0);
      return IValue(value.integer);
    case Kind::Real: return IValue(value.real);
    case Kind::Boolean: return IValue(value.integer != 0);
    case Kind::Integers:
      if (parameter == Wants::Reals) return list_of<double, int64_t>(value.pointer, value.length);
      if (parameter == Wants::Booleans) return list_of<bool, int64_t>(value.pointer, value.length);
      return list_of<int64_t, int64_t>(value.pointer, value.length);
    case Kind::Reals: return list_of<double, double>(value.pointer, value.length);
    case Kind::Tensors: return tensor_list(static_cast<void**>(value.pointer), value.length, parameter);
    case Kind::Text: return IValue(std::string(static_cast<char*>(value.pointer), value.length));
    case Kind::Device:
      return IValue(c10::Device(static_cast<c10::DeviceType>(value.integer), static_cast<c10::DeviceIndex>(value.length)));
    case Kind::Generator: return IValue(*static_cast<at::Generator*>(value.pointer));
  }
  TORCH_CHECK(false, "unknown kind of argument");
}

void add_result(std::vector<Value>& results, IValue&& value) {
  if (value.isTensorList()) {
    for (const Tensor& tensor : value.toTensorVector()) results.push_back({Kind::Tensor, {release(tensor)}, 0});
  } else if (value.isTensor()) {
    results.push_back({Kind::Tensor, {release(std::move(value).toTensor())}, 0});
  } else if (value.isInt() || value.isBool()) {
    Value& result = results.emplace_back(Value{value.isInt() ? Kind::Integer : Kind::Boolean, {nullptr}, 0});
    result.integer = value.isInt() ? value.toInt() : value.toBool();
  } else {
    TORCH_CHECK(value.isDouble(), "an operator returned a ", value.tagKind(), ", which has no counterpart here");
    results.emplace_back(Value{Kind::Real, {nullptr}, 0}).real = value.toDouble();
  }
}

}  // namespace

EXPORT const char* torch_last_error() { return last_error.c_str(); }
EXPORT const char* torch_version() { return TORCH_VERSION; }

// ---- operators

EXPORT int torch_find(const char* name, const char* overload, Operator** found) {
  return guarded([&] {
    auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
    auto result = std::make_unique<Operator>(Operator{handle, {}, {}});
    for (const auto& argument : handle.schema().arguments()) {
      result->parameters.push_back(wants(argument.type()));
      result->defaults.push_back(argument.default_value() ? *argument.default_value() : IValue());
    }
    *found = result.release();
  });
}

// Arguments that are left out take the schema's defaults. Results stay valid until the thread's next call; a null
// `results` drops them, which is what an in-place call wants.
EXPORT int torch_call(Operator* op, const Value* arguments, int32_t count, Value** results, int32_t* result_count) {
  return guarded([&] {
    TORCH_CHECK(static_cast<size_t>(count) <= op->parameters.size(), op->handle.schema().name(), ": too many arguments");
    std::vector<IValue> stack;
    stack.reserve(op->parameters.size());
    for (int32_t i = 0; i < count; i++) stack.push_back(to_ivalue(arguments[i], op->parameters[i], op->defaults[i]));
    for (size_t i = count; i < op->parameters.size(); i++) stack.push_back(op->defaults[i]);
    op->handle.callBoxed(&stack);
    if (results == nullptr) return;
    static thread_local std::vector<Value> kept;
    kept.clear();
    for (IValue& value : stack) add_result(kept, std::move(value));
    *results = kept.data();
    *result_count = static_cast<int32_t>(kept.size());
  });
}

// ---- tensors

struct Description {
  int64_t elements, dimensions, element_size;
  int32_t dtype, device_type, device_index, contiguous, requires_grad, leaf;
};

EXPORT void torch_tensor_release(void* tensor) { TensorPointer::reclaim(static_cast<c10::TensorImpl*>(tensor)); }

EXPORT int torch_tensor_describe(void* handle, Description* about) {
  return guarded([&] {
    Tensor tensor = borrow(handle);
    *about = {tensor.numel(), tensor.dim(), static_cast<int64_t>(tensor.element_size()),
              static_cast<int32_t>(tensor.scalar_type()), static_cast<int32_t>(tensor.device().type()),
              tensor.device().index(), tensor.is_contiguous(), tensor.requires_grad(), tensor.is_leaf()};
  });
}

EXPORT int torch_tensor_shape(void* handle, int64_t* sizes, int64_t* strides) {
  return guarded([&] {
    Tensor tensor = borrow(handle);
    std::copy(tensor.sizes().begin(), tensor.sizes().end(), sizes);
    std::copy(tensor.strides().begin(), tensor.strides().end(), strides);
  });
}

EXPORT int torch_tensor_data(void* handle, void** data) {
  return guarded([&] { *data = borrow(handle).data_ptr(); });
}

// ---- autograd

EXPORT int torch_set_requires_grad(void* tensor, int32_t value) {
  return guarded([&] { borrow(tensor).set_requires_grad(value != 0); });
}

EXPORT int torch_get_grad(void* tensor, void** grad) {
  return guarded([&] { *grad = release(borrow(tensor).grad()); });
}

EXPORT int torch_set_grad(void* tensor, void* grad) {
  return guarded([&] { borrow(tensor).mutable_grad() = borrow(grad); });
}

EXPORT int torch_backward(void** tensors, int32_t count, void** grads, int32_t retain_graph, int32_t create_graph,
                          void** inputs, int32_t input_count) {
  return guarded([&] {
    torch::autograd::backward(borrow_all(tensors, count), borrow_all(grads, grads ? count : 0), retain_graph != 0,
                              create_graph != 0, borrow_all(inputs, input_count));
  });
}

EXPORT int torch_autograd_grad(void** outputs, int32_t output_count, void** inputs, int32_t input_count, void** grads,
                               int32_t retain_graph, int32_t create_graph, int32_t allow_unused, void** results) {
  return guarded([&] {
    auto found = torch::autograd::grad(borrow_all(outputs, output_count), borrow_all(inputs, input_count),
                                       borrow_all(grads, grads ? output_count : 0), retain_graph != 0,
                                       create_graph != 0, allow_unused != 0);
    for (int32_t i = 0; i < input_count; i++) results[i] = release(std::move(found[i]));
  });
}

// Sets the mode unless `value` is negative, and returns what it was.
EXPORT int32_t torch_grad_mode(int32_t value) {
  bool before = c10::GradMode::is_enabled();
  if (value >= 0) c10::GradMode::set_enabled(value != 0);
  return before;
}

EXPORT void* torch_inference_mode_enter(int32_t enabled) { return new c10::InferenceMode(enabled != 0); }
EXPORT void torch_inference_mode_leave(void* guard) { delete static_cast<c10::InferenceMode*>(guard); }
EXPORT int32_t torch_inference_mode_enabled() { return c10::InferenceMode::is_enabled(); }

// ---- generators

EXPORT int torch_generator_new(uint64_t seed, at::Generator** created) {
  return guarded([&] { *created = new at::Generator(at::detail::createCPUGenerator(seed)); });
}

EXPORT int torch_generator_default(at::Generator** shared) {
  return guarded([&] { *shared = new at::Generator(at::globalContext().defaultGenerator(c10::Device(c10::kCPU))); });
}

EXPORT void torch_generator_release(at::Generator* generator) { delete generator; }

EXPORT int torch_generator_seed(at::Generator* generator, uint64_t seed) {
  return guarded([&] { generator->set_current_seed(seed); });
}

EXPORT int torch_generator_get_state(at::Generator* generator, void** state) {
  return guarded([&] { *state = release(generator->get_state()); });
}

EXPORT int torch_generator_set_state(at::Generator* generator, void* state) {
  return guarded([&] { generator->set_state(borrow(state)); });
}

EXPORT int torch_seed_all(uint64_t seed) {
  return guarded([&] { at::manual_seed(seed); });
}

// ---- the process

EXPORT int32_t torch_threads(int32_t count) {
  if (count > 0) at::set_num_threads(count);
  return at::get_num_threads();
}

EXPORT int32_t torch_default_dtype(int32_t dtype) {
  int32_t before = static_cast<int32_t>(c10::typeMetaToScalarType(c10::get_default_dtype()));
  if (dtype >= 0) c10::set_default_dtype(c10::scalarTypeToTypeMeta(static_cast<c10::ScalarType>(dtype)));
  return before;
}

EXPORT int32_t torch_cuda_devices() { return torch::cuda::is_available() ? torch::cuda::device_count() : 0; }

EXPORT int torch_cuda_synchronize(int64_t device) {
  return guarded([&] { torch::cuda::synchronize(device); });
}
