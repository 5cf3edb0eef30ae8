#pragma once
// Models in several files: `name-00001-of-0000N.gguf` and so on, side by side. The first has the
// model's metadata, each has its own share of the tensors (the first may have none), and each says
// in `split.no` (from 0), `split.count` and `split.tensors.count` which one it is. The convention
// is llama.cpp's (its gguf-split tool and model loader), so that files travel both ways.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"

namespace engine {

class GgufFile;

/// The parts of `name-00002-of-00003.gguf`.
struct ShardName {
    std::string stem;
    std::uint32_t index = 0, count = 0;  ///< 1 <= index <= count
};
/// None: `file` is not called so.
std::optional<ShardName> shard_name(const std::string& file);
/// All shard names when `file` is called like one, else `file` alone. Folders before the name stay.
std::vector<std::string> shard_names(const std::string& file);

/// split.count; 0 or 1: the model is in one file. Errors: data_loss (not a number, or over 65,535).
base::Result<std::uint32_t> shard_count(const GgufFile& file);
/// Pre: count > 1. The paths of all shards, `file`'s first. Errors: invalid_argument (it is not the
/// first one, or not called so: says which to name), data_loss.
base::Result<std::vector<std::string>> check_first_shard(const GgufFile& file, std::uint32_t count);
/// Errors: data_loss (`shard` is not number `index`, from 0, of `count`: says what it is).
base::Result<void> check_later_shard(const GgufFile& shard, std::uint32_t index,
                                     std::uint32_t count);
/// `file` has all tensors that it says its shards have together. Errors: data_loss.
base::Result<void> check_all_shards(const GgufFile& file);

}  // namespace engine
