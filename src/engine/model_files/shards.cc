#include "engine/model_files/shards.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "engine/model_files/gguf.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::string_view kNumberKey = "split.no";
constexpr std::string_view kCountKey = "split.count";
constexpr std::string_view kTensorsKey = "split.tensors.count";
constexpr std::uint32_t kShardsMax = 65'535;  // what the files' own number holds

std::uint32_t to_number(std::string_view digits) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() ? value : 0u;
}

std::string name_of(const ShardName& shard, std::uint32_t index) {
    return fmt::format("{}-{:05}-of-{:05}.gguf", shard.stem, index, shard.count);
}

std::string file_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

}  // namespace

std::optional<ShardName> shard_name(const std::string& file) {
    constexpr std::size_t kSuffix = sizeof("-00001-of-00002.gguf") - 1;
    if (file.size() <= kSuffix) return std::nullopt;
    const std::string_view tail = std::string_view(file).substr(file.size() - kSuffix);
    if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf") {
        return std::nullopt;
    }
    ShardName shard{file.substr(0, file.size() - kSuffix), to_number(tail.substr(1, 5)),
                    to_number(tail.substr(10, 5))};
    const bool good = shard.index >= 1 && shard.index <= shard.count && shard.count <= kShardsMax;
    return good ? std::optional(std::move(shard)) : std::nullopt;
}

std::vector<std::string> shard_names(const std::string& file) {
    const auto shard = shard_name(file);
    if (!shard) return {file};
    std::vector<std::string> names;
    for (std::uint32_t i = 1; i <= shard->count; ++i) names.push_back(name_of(*shard, i));
    return names;
}

Result<std::uint32_t> shard_count(const GgufFile& file) {
    const std::uint32_t count = DG_TRY(file.get_u32_or(kCountKey, 0));
    if (count <= kShardsMax) return count;
    return fail_on(file.path(), Code::data_loss, "{}: {} is {}, expected at most {}", file.path(),
                   kCountKey, count, kShardsMax);
}

Result<std::vector<std::string>> check_first_shard(const GgufFile& file, std::uint32_t count) {
    const std::string& path = file.path();
    const std::uint32_t number = DG_TRY(file.get_u32_or(kNumberKey, 0));
    const auto shard = shard_name(path);
    const bool name_fits = shard && shard->index == number + 1 && shard->count == count;
    if (number >= count) {
        return fail_on(
            path, Code::data_loss,
            "{}: says that it is number {} of {} shards (counted from 0); fetch it again", path,
            number, count);
    }
    if (name_fits && number == 0) return shard_names(path);
    if (name_fits) {
        return fail_on(path, Code::invalid_argument,
                       "{} is shard {} of {} of one model; name the first one, {}", path,
                       number + 1, count, name_of(*shard, 1));
    }
    const ShardName wanted{shard ? file_name(shard->stem) : "NAME", number + 1, count};
    return fail_on(path, Code::invalid_argument,
                   "{} is shard {} of {} of one model and not called so; the others are looked for "
                   "by its name: call it {} beside them, or fetch the model again",
                   path, number + 1, count, name_of(wanted, wanted.index));
}

Result<void> check_later_shard(const GgufFile& shard, std::uint32_t index, std::uint32_t count) {
    const std::uint32_t number = DG_TRY(shard.get_u32_or(kNumberKey, 0));
    const std::uint32_t says = DG_TRY(shard_count(shard));
    if (number == index && says == count) return {};
    return fail_on(shard.path(), Code::data_loss,
                   "{}: its name and the first shard say that it is number {} of {}, the file "
                   "itself {}; fetch it again",
                   shard.path(), index + 1, count,
                   says > 1 ? fmt::format("number {} of {}", number + 1, says)
                            : std::string("that it is a model of its own"));
}

Result<void> check_all_shards(const GgufFile& file) {
    const std::size_t found = file.tensors().size();
    const std::uint64_t said = DG_TRY(file.get_u32_or(kTensorsKey, 0));
    if (!file.has(kTensorsKey) || said == found) return {};
    return fail_on(file.path(), Code::data_loss,
                   "{}: the model has {} tensors ({}), its {} files together {}: they do not "
                   "belong together; fetch all of them again",
                   file.path(), said, kTensorsKey, file.files().size(), found);
}

}  // namespace engine
