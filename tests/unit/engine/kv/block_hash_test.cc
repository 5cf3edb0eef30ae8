#include "engine/kv/block_hash.h"

#include <gtest/gtest.h>

#include <set>

namespace {

using engine::chain_next;
using engine::chain_root;
using engine::KvType;
using engine::to_hex;
using engine::TokenId;

TEST(BlockHash, NamesAreTheSameOnEveryMachine) {
    // SHA-256 computed by another program over the bytes that the header describes.
    const auto root = chain_root({{}, "", ""});
    EXPECT_EQ(to_hex(root), "111c700c23a771f25af3277944702be478ab7eeb9e9b6dbc4e4f8fad26edd5e2");
    const std::vector<TokenId> tokens = {1, 2, 70000, -1};
    EXPECT_EQ(to_hex(chain_next(root, tokens)),
              "fcbca3a6ffa1b58d9d6dad21c18eb117016af4d144b370baa20f353db88d825d");
}

TEST(BlockHash, EveryPartOfTheIdentityCounts) {
    std::set<std::string> names;
    const auto add = [&](const engine::KvIdentity& identity) {
        EXPECT_TRUE(names.insert(to_hex(chain_root(identity))).second);
    };
    add({{}, "", ""});
    add({{std::byte{1}}, "", ""});
    add({{}, "ab", ""});
    add({{}, "", "ab"});
    add({{}, "a", "b"});
    add({{}, "b", "a"});
    add({{}, "ab", std::string("\0", 1)});
}

TEST(BlockHash, TheChainSeesOrderAndPlace) {
    const auto root = chain_root({{}, "", "t"});
    const std::vector<TokenId> ab = {1, 2}, ba = {2, 1};
    EXPECT_NE(chain_next(root, ab), chain_next(root, ba));
    EXPECT_NE(chain_next(chain_next(root, ab), ba), chain_next(chain_next(root, ba), ab));
    EXPECT_NE(chain_next(root, ab), chain_next(chain_next(root, ab), {}));
}

TEST(BlockHash, AModelIsItsFileAndKvTypeNotItsPath) {
    const auto model_hash = [](std::span<const std::byte> bytes, std::uint64_t header,
                               KvType type) {
        const engine::ModelBytes one{bytes, header};
        return engine::model_hash(std::span(&one, 1), type);
    };
    std::vector<std::byte> file(300'000, std::byte{7});
    const auto name = model_hash(file, 1000, KvType::f16);
    EXPECT_EQ(model_hash(std::vector(file), 1000, KvType::f16), name);
    file[500] = std::byte{8};  // header
    EXPECT_NE(model_hash(file, 1000, KvType::f16), name);
    file[500] = std::byte{7};
    file[1001] = std::byte{8};  // a weight, as in a fine-tune of the same shape
    EXPECT_NE(model_hash(file, 1000, KvType::f16), name);
    file[1001] = std::byte{7};
    EXPECT_NE(model_hash(file, 1000, static_cast<KvType>(1)), name);
    EXPECT_NE(model_hash(file, 999, KvType::f16), name);
    EXPECT_NE(model_hash({}, 0, KvType::f16), name) << "an empty file is no reason to fall";
}

TEST(BlockHash, AModelIsAllItsFiles) {
    std::vector<std::byte> first(50'000, std::byte{7}), second(70'000, std::byte{8});
    const auto name_of = [&] {
        const engine::ModelBytes files[] = {{first, 1000}, {second, 500}};
        return engine::model_hash(files, KvType::f16);
    };
    const auto name = name_of();
    EXPECT_EQ(name_of(), name);
    for (std::byte* changed : {&first[1], &first[1001], &second[2], &second[501]}) {
        *changed ^= std::byte{1};
        EXPECT_NE(name_of(), name) << changed - first.data();
        *changed ^= std::byte{1};
    }
    const engine::ModelBytes other_order[] = {{second, 500}, {first, 1000}};
    EXPECT_NE(engine::model_hash(other_order, KvType::f16), name);
}

}  // namespace
