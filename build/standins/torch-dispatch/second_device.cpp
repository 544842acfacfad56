// A second device, so that a machine without a GPU can test that nothing assumes the CPU. Its tensors lie in the CPU's
// memory and the CPU's kernels compute them, but they are of a type of their own: an operator refuses tensors of both
// devices, and each copy back is counted, since a GPU would have to be waited for.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <string>
#include <vector>

namespace {

using at::Tensor;
using c10::IValue;
using Stack = torch::jit::Stack;

constexpr auto Second = c10::DeviceType::PrivateUse1;

std::atomic<int64_t> copies_back{0};

Tensor tensor_over(c10::Storage storage, c10::DispatchKey key, const Tensor& like) {
  Tensor made = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), like.dtype());
  made.unsafeGetTensorImpl()->set_storage_offset(like.storage_offset());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides());
  return made;
}

c10::Storage storage_over(const c10::Storage& storage, c10::DataPtr memory) {
  return c10::Storage(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(memory), c10::GetCPUAllocator(),
                      true);
}

// One call: what it was given, and the same memory as the CPU's kernels see it.
class Call {
 public:
  explicit Call(const c10::OperatorHandle& op) : name_(op.schema().name()) {}

  IValue to_cpu(const IValue& value) {
    if (value.isTensor()) return IValue(to_cpu(value.toTensor()));
    if (value.isTensorList()) {
      std::vector<Tensor> tensors;
      for (const Tensor& tensor : value.toTensorVector()) tensors.push_back(to_cpu(tensor));
      return IValue(tensors);
    }
    if (value.isOptionalTensorList()) {
      auto list = value.toOptionalTensorList().copy();
      for (size_t i = 0; i < list.size(); i++) {
        auto tensor = list.get(i);
        if (tensor.has_value()) list.set(i, to_cpu(*tensor));
      }
      return IValue(list);
    }
    return value.isDevice() ? IValue(c10::Device(c10::kCPU)) : value;
  }

  IValue from_cpu(const IValue& value) {
    if (value.isTensor()) return IValue(from_cpu(value.toTensor()));
    if (!value.isTensorList()) return value;
    std::vector<Tensor> tensors;
    for (const Tensor& tensor : value.toTensorVector()) tensors.push_back(from_cpu(tensor));
    return IValue(tensors);
  }

  // Operators that resize or set what they are given did so to what stands for it.
  void follow() {
    for (size_t i = 0; i < given_.size(); i++) {
      const Tensor &given = given_[i], &seen = seen_[i];
      c10::TensorImpl* impl = given.unsafeGetTensorImpl();
      if (seen.storage().data() != given.storage().data()) impl->set_storage_keep_dtype(storage_of(seen));
      if (seen.sizes() != given.sizes() || seen.strides() != given.strides() ||
          seen.storage_offset() != given.storage_offset()) {
        impl->set_storage_offset(seen.storage_offset());
        impl->set_sizes_and_strides(seen.sizes(), seen.strides());
      }
    }
  }

  void check() const {
    bool copies = name_ == "aten::copy_";
    TORCH_CHECK(copies || !has_other_ || given_.empty(), "Expected all tensors to be on the same device, but ", name_,
                " was given some of the CPU beside some of the second device.");
    if ((copies && first_is_other_) || name_ == "aten::_local_scalar_dense") copies_back++;
  }

 private:
  Tensor to_cpu(const Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    if (tensor.device().type() != Second) {
      first_is_other_ |= given_.empty();
      has_other_ |= tensor.dim() > 0;
      return tensor;
    }
    const c10::Storage& storage = tensor.storage();
    c10::DataPtr memory(const_cast<void*>(storage.data()), c10::Device(c10::kCPU));
    given_.push_back(tensor);
    seen_.push_back(tensor_over(storage_over(storage, std::move(memory)), c10::DispatchKey::CPU, tensor));
    return seen_.back();
  }

  // What it was given, a view of that, or something new.
  Tensor from_cpu(const Tensor& tensor) {
    if (!tensor.defined() || tensor.device().type() == Second) return tensor;
    for (size_t i = 0; i < given_.size(); i++) {
      if (tensor.unsafeGetTensorImpl() == seen_[i].unsafeGetTensorImpl()) return given_[i];
    }
    return tensor_over(storage_of(tensor), c10::DispatchKey::PrivateUse1, tensor);
  }

  c10::Storage storage_of(const Tensor& tensor) const {
    void* data = const_cast<void*>(tensor.storage().data());
    for (const Tensor& given : given_) {
      if (data != nullptr && given.storage().data() == data) return given.storage();
    }
    auto owner = new Tensor(tensor);
    auto release = [](void* context) { delete static_cast<Tensor*>(context); };
    return storage_over(tensor.storage(), c10::DataPtr(data, owner, release, c10::Device(Second, 0)));
  }

  std::string name_;
  std::vector<Tensor> given_, seen_;
  bool has_other_ = false, first_is_other_ = false;  // tensors of the CPU: of a dimension or more, before all others
};

void compute(const c10::OperatorHandle& op, Stack* stack) {
  Call call(op);
  size_t count = op.schema().arguments().size(), first = stack->size() - count;
  for (size_t i = first; i < stack->size(); i++) (*stack)[i] = call.to_cpu((*stack)[i]);
  call.check();
  op.callBoxed(stack);
  call.follow();
  for (size_t i = first; i < stack->size(); i++) (*stack)[i] = call.from_cpu((*stack)[i]);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&compute>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("copy_", torch::CppFunction::makeFromBoxedFunction<&compute>());
}

// There is one, with one stream, and no thread has to be told. (Autograd asks all this.)
struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return Second; }
  c10::Device exchangeDevice(c10::Device) const override { return getDevice(); }
  c10::Device getDevice() const override { return c10::Device(Second, 0); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Stream getStream(c10::Device) const noexcept override { return stream(); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return stream(); }

 private:
  c10::Stream stream() const noexcept { return c10::Stream(c10::Stream::DEFAULT, getDevice()); }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

}  // namespace

// Its number among the types of devices, which differs between versions of libtorch.
extern "C" __attribute__((visibility("default"))) int32_t torch_second_device() { return static_cast<int32_t>(Second); }

// How often tensors of it were copied to the CPU.
extern "C" __attribute__((visibility("default"))) int64_t torch_second_device_copies() { return copies_back; }
