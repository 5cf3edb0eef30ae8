#include "engine/graph/hparams.h"

#include <algorithm>
#include <utility>

namespace engine {
namespace {

template <class T>
base::Result<T> in_range(const std::string& key, T value, T min, T max) {
    if (value >= min && value <= max) return value;  // false for NaN
    return base::fail_on(key, base::Code::data_loss,
                         "key {} is {}; expected {} to {}; the file is damaged or not supported",
                         key, value, min, max);
}

}  // namespace

Hparams::Hparams(const GgufFile& file, std::string architecture)
    : file_(&file), architecture_(std::move(architecture)) {}

base::Result<Hparams> Hparams::read(const GgufFile& file) {
    return Hparams(file, DG_TRY(file.architecture()));
}

std::string Hparams::key(std::string_view suffix) const {
    return architecture_ + "." + std::string(suffix);
}

base::Result<std::uint32_t> Hparams::count(std::string_view suffix, std::uint32_t max) const {
    const std::string name = key(suffix);
    if (!file_->has(name)) {
        return base::fail_on(name, base::Code::data_loss,
                             "key {} is missing; the {} graph needs it", name, architecture_);
    }
    return in_range(name, DG_TRY(file_->get_u32(name)), 1u, max);
}

base::Result<std::uint32_t> Hparams::count_or(std::string_view suffix, std::uint32_t fallback,
                                              std::uint32_t min, std::uint32_t max) const {
    const std::string name = key(suffix);
    return in_range(name, DG_TRY(file_->get_u32_or(name, fallback)), min, max);
}

base::Result<std::uint32_t> Hparams::uniform_count_or(std::string_view suffix,
                                                      std::uint32_t fallback, std::uint32_t layers,
                                                      std::uint32_t max) const {
    const std::string name = key(suffix);
    if (!file_->has(name)) return in_range(name, fallback, 1u, max);
    const auto values = DG_TRY(file_->get_u32_per_layer(name, layers));
    const auto different = std::ranges::adjacent_find(values, std::not_equal_to<>());
    if (different != values.end()) {
        return base::fail_on(name, base::Code::unimplemented,
                             "key {} differs between layers ({} and {}); only models whose layers "
                             "agree are supported",
                             name, different[0], different[1]);
    }
    return in_range(name, values.front(), 1u, max);
}

base::Result<float> Hparams::real(std::string_view suffix, float min, float max) const {
    const std::string name = key(suffix);
    if (!file_->has(name)) {
        return base::fail_on(name, base::Code::data_loss,
                             "key {} is missing; the {} graph needs it", name, architecture_);
    }
    return in_range(name, DG_TRY(file_->get_f32(name)), min, max);
}

base::Result<float> Hparams::real_or(std::string_view suffix, float fallback, float min,
                                     float max) const {
    const std::string name = key(suffix);
    return in_range(name, DG_TRY(file_->get_f32_or(name, fallback)), min, max);
}

base::Result<std::string> Hparams::text_or(std::string_view suffix, std::string fallback) const {
    return file_->get_string_or(key(suffix), std::move(fallback));
}

}  // namespace engine
