#pragma once
// The words that JSON, policies and people use for the values of a spec, once.

#include <array>
#include <string_view>
#include <utility>

#include "sphere/spec.h"

namespace sphere {

template <class T, std::size_t N>
using Words = std::array<std::pair<std::string_view, T>, N>;

inline constexpr Words<Isolation, 4> kIsolations{{{"process", Isolation::process},
                                                  {"full", Isolation::full},
                                                  {"gvisor", Isolation::gvisor},
                                                  {"microvm", Isolation::microvm}}};
inline constexpr Words<NetworkMode, 4> kNetworkModes{{{"none", NetworkMode::none},
                                                      {"loopback", NetworkMode::loopback},
                                                      {"egress", NetworkMode::egress},
                                                      {"full", NetworkMode::full}}};
inline constexpr Words<RootSpec::Kind, 3> kRootKinds{{{"host", RootSpec::Kind::host},
                                                      {"image", RootSpec::Kind::image},
                                                      {"directory", RootSpec::Kind::directory}}};

/// Pre: `word` is one of them.
template <class T, std::size_t N>
constexpr T value_of(const Words<T, N>& words, std::string_view word) {
    for (const auto& [name, value] : words) {
        if (name == word) return value;
    }
    return words[0].second;
}
template <class T, std::size_t N>
constexpr std::string_view word_of(const Words<T, N>& words, T value) {
    for (const auto& [name, each] : words) {
        if (each == value) return name;
    }
    return "";
}

}  // namespace sphere
