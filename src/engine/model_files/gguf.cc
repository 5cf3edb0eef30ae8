#include "engine/model_files/gguf.h"

#include <algorithm>
#include <utility>

#include "base/files/mapped_file.h"
#include "engine/model_files/gguf_structure.h"
#include "engine/model_files/shards.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

struct alignas(32) AlignedChunk {
    std::byte bytes[32];
};

}  // namespace

std::string_view gguf_type_name(GgufType type) {
    switch (type) {
        case GgufType::u8:
            return "u8";
        case GgufType::i8:
            return "i8";
        case GgufType::u16:
            return "u16";
        case GgufType::i16:
            return "i16";
        case GgufType::u32:
            return "u32";
        case GgufType::i32:
            return "i32";
        case GgufType::f32:
            return "f32";
        case GgufType::boolean:
            return "bool";
        case GgufType::string:
            return "string";
        case GgufType::array:
            return "array";
        case GgufType::u64:
            return "u64";
        case GgufType::i64:
            return "i64";
        case GgufType::f64:
            return "f64";
    }
    return "?";
}

/// One file, and behind the first one of several the others.
struct GgufFile::Impl : GgufStructure {
    base::MappedFile map;
    std::unique_ptr<AlignedChunk[]> copy;  // of misaligned memory
    std::vector<GgufFile> other_shards;    // their tensors are among ours

    void advise(base::AccessHint hint, const TensorView& tensor) const;
    bool holds(const TensorView& tensor) const;
    Result<void> take_shard(GgufFile shard);
};

bool GgufFile::Impl::holds(const TensorView& tensor) const {
    return std::greater_equal<>{}(tensor.data, bytes.data()) &&
           std::less<>{}(tensor.data, bytes.data() + bytes.size());
}

void GgufFile::Impl::advise(base::AccessHint hint, const TensorView& tensor) const {
    if (map.bytes().empty()) return;
    if (holds(tensor)) {
        map.advise(hint, static_cast<std::size_t>(tensor.data - bytes.data()), tensor.bytes());
        return;
    }
    for (const GgufFile& shard : other_shards) {
        if (shard.impl_->holds(tensor)) return shard.impl_->advise(hint, tensor);
    }
}

GgufFile::GgufFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GgufFile::~GgufFile() = default;
GgufFile::GgufFile(GgufFile&&) noexcept = default;
GgufFile& GgufFile::operator=(GgufFile&&) noexcept = default;

Result<GgufFile> GgufFile::open(const std::string& path) {
    GgufFile file = DG_TRY(open_one(path));
    const std::uint32_t count = DG_TRY(shard_count(file));
    if (count > 1) DG_TRY(file.join_shards(count));
    return file;
}

Result<void> GgufFile::check_one(const std::string& path) {
    DG_TRY(open_one(path));
    return {};
}

Result<GgufFile> GgufFile::open_one(const std::string& path) {
    auto impl = std::make_unique<Impl>();
    impl->map = DG_TRY(base::MappedFile::open(path));
    impl->bytes = impl->map.bytes();
    impl->path = path;
    DG_TRY(impl->parse());
    return GgufFile(std::move(impl));
}

/// Of the first shard: opens the others where their names say and takes over their tensors.
Result<void> GgufFile::join_shards(std::uint32_t count) {
    const std::vector<std::string> paths = DG_TRY(check_first_shard(*this, count));
    for (std::uint32_t i = 1; i < count; ++i) {
        auto shard = open_one(paths[i]);
        if (!shard && shard.error().code == Code::not_found) {
            return fail_on(paths[i], Code::not_found,
                           "{} is missing: {} is the first of {} files of one model, which lie "
                           "side by side; fetch it, or the whole model, again",
                           paths[i], path(), count);
        }
        if (!shard) return std::unexpected(std::move(shard).error());
        DG_TRY(check_later_shard(*shard, i, count));
        DG_TRY(impl_->take_shard(*std::move(shard)));
    }
    return check_all_shards(*this);
}

Result<void> GgufFile::Impl::take_shard(GgufFile shard) {
    for (const TensorView& tensor : shard.tensors()) {
        if (!tensor_index.emplace(tensor.name, tensors.size()).second) {
            return fail_on(shard.path(), Code::data_loss,
                           "{}: tensor {} is in an earlier file of the model too: they belong to "
                           "different models; fetch all of them again",
                           shard.path(), tensor.name);
        }
        tensors.push_back(tensor);
    }
    other_shards.push_back(std::move(shard));
    return {};
}

Result<GgufFile> GgufFile::from_memory(std::span<const std::byte> bytes, std::string name) {
    auto impl = std::make_unique<Impl>();
    impl->path = std::move(name);
    impl->bytes = bytes;
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(AlignedChunk) != 0) {
        impl->copy = std::make_unique<AlignedChunk[]>(bytes.size() / sizeof(AlignedChunk) + 1);
        auto* to = reinterpret_cast<std::byte*>(impl->copy.get());
        std::ranges::copy(bytes, to);
        impl->bytes = {to, bytes.size()};
    }
    DG_TRY(impl->parse());
    GgufFile file(std::move(impl));
    if (DG_TRY(shard_count(file)) > 1) {
        return fail_on(file.path(), Code::invalid_argument,
                       "{} is one shard of a model; only whole models can be linked in",
                       file.path());
    }
    return file;
}

const std::string& GgufFile::path() const {
    return impl_->path;
}
std::uint32_t GgufFile::version() const {
    return impl_->version;
}
std::uint64_t GgufFile::alignment() const {
    return impl_->alignment;
}
std::vector<ModelFile> GgufFile::files() const {
    std::vector<ModelFile> files{
        {impl_->path, impl_->map.stamp(), impl_->bytes, impl_->data_offset}};
    for (const GgufFile& shard : impl_->other_shards) files.push_back(shard.files().front());
    return files;
}
std::uint64_t GgufFile::file_bytes() const {
    std::uint64_t total = 0;
    for (const ModelFile& file : files()) total += file.bytes.size();
    return total;
}
bool GgufFile::is_unchanged() const {
    return impl_->map.is_unchanged() &&
           std::ranges::all_of(impl_->other_shards, &GgufFile::is_unchanged);
}
bool GgufFile::on_disk() const {
    return !impl_->map.bytes().empty();
}
void GgufFile::will_read(const TensorView& tensor) const {
    impl_->advise(base::AccessHint::will_need, tensor);
}
void GgufFile::will_read_single_rows(const TensorView& tensor) const {
    impl_->advise(base::AccessHint::random, tensor);
}
void GgufFile::release_pages(const TensorView& tensor) const {
    impl_->advise(base::AccessHint::dont_need, tensor);
}
std::span<const GgufEntry> GgufFile::metadata() const {
    return impl_->entries;
}
std::span<const TensorView> GgufFile::tensors() const {
    return impl_->tensors;
}

const GgufEntry* GgufFile::find(std::string_view key) const {
    const auto found = impl_->entry_index.find(key);
    return found == impl_->entry_index.end() ? nullptr : &impl_->entries[found->second];
}

const TensorView* GgufFile::find_tensor(std::string_view name) const {
    const auto found = impl_->tensor_index.find(name);
    return found == impl_->tensor_index.end() ? nullptr : &impl_->tensors[found->second];
}

Result<TensorView> GgufFile::tensor(std::string_view name) const {
    if (const TensorView* found = find_tensor(name)) return *found;
    return impl_->damaged("has no tensor {}, which its architecture needs", name);
}

}  // namespace engine
