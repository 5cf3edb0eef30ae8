#include "engine/kv/block_hash.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "base/core/check.h"
#include "base/files/sha256.h"

namespace engine {
namespace {

// 16 stretches of 4 KiB: one page of the file each, so that a cold start reads little for them.
constexpr std::size_t kSamples = 16;
constexpr std::size_t kSampleBytes = 4096;

static_assert(std::endian::native == std::endian::little, "names are made of little-endian bytes");

void add_number(base::Sha256& digest, std::uint64_t number) {
    digest.update(std::as_bytes(std::span(&number, 1)));
}

void add_part(base::Sha256& digest, std::span<const std::byte> bytes) {
    add_number(digest, bytes.size());
    digest.update(bytes);
}

}  // namespace

BlockHash model_hash(std::span<const std::byte> header, std::uint64_t file_bytes, KvType type,
                     std::span<const std::span<const std::byte>> samples) {
    base::Sha256 digest;
    add_part(digest, header);
    add_number(digest, file_bytes);
    add_number(digest, static_cast<std::uint64_t>(type));
    for (const std::span<const std::byte> sample : samples) add_part(digest, sample);
    return digest.finish();
}

BlockHash model_hash(std::span<const ModelBytes> files, KvType type) {
    DG_CHECK(!files.empty(), "a model has a file");
    const auto header_of = [](const ModelBytes& file) {
        return file.bytes.first(std::min<std::size_t>(file.data_offset, file.bytes.size()));
    };
    const std::size_t samples_each = std::max<std::size_t>(kSamples / files.size(), 1);
    std::uint64_t total = 0;
    std::vector<std::span<const std::byte>> samples;
    for (const ModelBytes& file : files) {
        total += file.bytes.size();
        const std::span<const std::byte> header = header_of(file);
        if (&file != &files.front()) samples.push_back(header);
        const std::span<const std::byte> data = file.bytes.subspan(header.size());
        for (std::size_t i = 0; i < samples_each; ++i) {
            const std::size_t at = data.size() / samples_each * i;
            samples.push_back(data.subspan(at, std::min(kSampleBytes, data.size() - at)));
        }
    }
    return model_hash(header_of(files.front()), total, type, samples);
}

BlockHash chain_root(const KvIdentity& identity) {
    base::Sha256 digest;
    add_part(digest, identity.model);
    add_part(digest, std::as_bytes(std::span(identity.adapter)));
    add_part(digest, std::as_bytes(std::span(identity.tenant)));
    return digest.finish();
}

BlockHash chain_next(const BlockHash& parent, std::span<const TokenId> page_tokens) {
    static_assert(sizeof(TokenId) == 4);
    base::Sha256 digest;
    digest.update(parent);
    digest.update(std::as_bytes(page_tokens));
    return digest.finish();
}

std::string to_hex(const BlockHash& hash) {
    std::string hex;
    for (const std::byte byte : hash) hex += fmt::format("{:02x}", byte);
    return hex;
}

}  // namespace engine
