#pragma once
// Models in several files, made of one: the first has the metadata, as llama.cpp's gguf-split does.

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model_files/gguf.h"
#include "engine/model_files/gguf_writer.h"
#include "engine/model_files/shards.h"

namespace test {

/// What the shards say of themselves, where a test wants it wrong.
struct ShardClaims {
    bool tensors_in_first = true;
    std::int32_t tensors_more = 0;  ///< than there are
};

inline void set_number(engine::GgufWriter& writer, std::string_view key, engine::GgufType type,
                       std::uint32_t value) {
    const std::size_t bytes = type == engine::GgufType::u16 ? 2 : 4;
    writer.set_entry({key, type, type, 1, std::as_bytes(std::span(&value, 1)).first(bytes)});
}

/// Writes `folder/stem-0000I-of-0000N.gguf` and returns their paths.
inline std::vector<std::string> write_shards(const std::string& whole, const std::string& folder,
                                             const std::string& stem, std::uint32_t count,
                                             const ShardClaims& claims = {}) {
    const auto file = engine::GgufFile::open(whole);
    EXPECT_TRUE(file) << file.error().message;
    const auto tensors = file->tensors();
    std::string first = folder + "/" + stem + "-00001-of-0000" + std::to_string(count) + ".gguf";
    const std::vector<std::string> paths = engine::shard_names(first);
    const std::uint32_t holders = claims.tensors_in_first ? count : count - 1;
    for (std::uint32_t i = 0; i < count; ++i) {
        auto writer = engine::GgufWriter::create(paths[i]);
        EXPECT_TRUE(writer) << writer.error().message;
        for (const engine::GgufEntry& entry : file->metadata()) {
            if (i == 0) writer->set_entry(entry);
        }
        set_number(*writer, "split.no", engine::GgufType::u16, i);
        set_number(*writer, "split.count", engine::GgufType::u16, count);
        set_number(*writer, "split.tensors.count", engine::GgufType::i32,
                   static_cast<std::uint32_t>(static_cast<std::int32_t>(tensors.size()) +
                                              claims.tensors_more));
        std::span<const engine::TensorView> mine;
        if (const std::uint32_t holder = i + holders - count; holders == count || i > 0) {
            const std::size_t begin = tensors.size() * holder / holders;
            mine = tensors.subspan(begin, tensors.size() * (holder + 1) / holders - begin);
        }
        for (const auto& tensor : mine) writer->add_tensor(tensor.name, tensor.type, tensor.dims);
        EXPECT_TRUE(writer->begin());
        for (const auto& tensor : mine) {
            EXPECT_TRUE(writer->write_tensor_data({tensor.data, tensor.bytes()}));
        }
        EXPECT_TRUE(writer->commit());
    }
    return paths;
}

}  // namespace test
