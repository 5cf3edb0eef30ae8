#pragma once
// The name of a page of KV: a hash chain over everything its bytes depend on, so that one name
// means one content in the radix tree, on disk, in another node's memory and in a router's table.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/kernels/kernels.h"
#include "engine/tokenizer/tokenizer.h"

namespace engine {

using BlockHash = std::array<std::byte, 32>;

/// Everything besides tokens that makes equal tokens mean different KV, or KV that must not be
/// shared.
struct KvIdentity {
    BlockHash model{};
    std::string adapter;
    std::string tenant;
};

/// What a model is, wherever its file lies. `samples` are stretches of its weights: two fine-tunes
/// of one model can agree in every byte of the header.
BlockHash model_hash(std::span<const std::byte> header, std::uint64_t file_bytes, KvType type,
                     std::span<const std::span<const std::byte>> samples);
/// A model's file in memory, or one of several.
struct ModelBytes {
    std::span<const std::byte> bytes;
    std::uint64_t data_offset = 0;  ///< the header's length
};
/// The same for whole files in memory: their headers and samples spread over the rest. Pre: one at
/// least.
BlockHash model_hash(std::span<const ModelBytes> files, KvType type);

/// SHA-256 of the three parts, each with its length before it: no two identities make one text.
BlockHash chain_root(const KvIdentity& identity);
/// SHA-256 of the parent's name and the page's tokens, 4 bytes each, little-endian.
BlockHash chain_next(const BlockHash& parent, std::span<const TokenId> page_tokens);

std::string to_hex(const BlockHash& hash);

}  // namespace engine
