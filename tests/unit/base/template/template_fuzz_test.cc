// Random and mutated templates: whatever the source, parsing and rendering end, with a text or an
// error. Sanitizer builds of this test look for what else could go wrong.

#include <gtest/gtest.h>

#include <array>

#include "base/template/template.h"
#include "support/seeds.h"

namespace {

constexpr std::array<std::string_view, 96> kPieces = {"{%",
                                                      "%}",
                                                      "{{",
                                                      "}}",
                                                      "{%-",
                                                      "-%}",
                                                      "{#",
                                                      "#}",
                                                      "if",
                                                      "elif",
                                                      "else",
                                                      "endif",
                                                      "for",
                                                      "in",
                                                      "endfor",
                                                      "set",
                                                      "endset",
                                                      "macro",
                                                      "endmacro",
                                                      "call",
                                                      "endcall",
                                                      "filter",
                                                      "endfilter",
                                                      "raw",
                                                      "endraw",
                                                      "break",
                                                      "continue",
                                                      "with",
                                                      "endwith",
                                                      "do",
                                                      "generation",
                                                      "endgeneration",
                                                      "is",
                                                      "not",
                                                      "and",
                                                      "or",
                                                      "recursive",
                                                      "loop",
                                                      "loop.index",
                                                      "loop(",
                                                      "caller()",
                                                      "messages",
                                                      "m",
                                                      "x",
                                                      "ns",
                                                      "namespace(",
                                                      "range(",
                                                      "dict(",
                                                      "cycler(",
                                                      "joiner(",
                                                      ".role",
                                                      ".content",
                                                      ".items()",
                                                      ".append(",
                                                      ".split(",
                                                      ".format(",
                                                      ".update(",
                                                      ".pop(",
                                                      "|tojson",
                                                      "|map(",
                                                      "|select(",
                                                      "|sort",
                                                      "|join(",
                                                      "|dictsort",
                                                      "|indent",
                                                      "|format(",
                                                      "|groupby(",
                                                      "|batch(",
                                                      "|replace('', 'a')",
                                                      "defined",
                                                      "divisibleby",
                                                      "(",
                                                      ")",
                                                      "[",
                                                      "]",
                                                      "{",
                                                      "}",
                                                      ",",
                                                      ":",
                                                      "=",
                                                      "==",
                                                      "<",
                                                      "+",
                                                      "-",
                                                      "*",
                                                      "**",
                                                      "/",
                                                      "//",
                                                      "%",
                                                      "~",
                                                      "'a'",
                                                      "\"é\"",
                                                      "0",
                                                      "-1",
                                                      "99999999999",
                                                      "\n"};

constexpr std::string_view kTemplate =
    "{%- set ns = namespace(n=0, l=[]) -%}{% macro show(x, y='-') %}{{ x|upper }}{{ y }}{% "
    "endmacro %}"
    "{%- for m in messages if m.role != 'system' -%}{% set ns.n = ns.n + loop.index %}"
    "{{ show(m['content'][::-1], y=loop.cycle('a', 'b')) }}{% do ns.l.append(m) %}"
    "{%- if loop.last and m.content is string %}{{ m|tojson(indent=2) }}{% elif not loop.first %}"
    "{{ '%5.2f'|format(ns.n / 3) ~ '{:>8}'.format(m.role) }}{% else %}{{ m.items()|list }}"
    "{% endif %}{% else %}none{% endfor %}{{ ns.l|map(attribute='role')|unique|sort|join(', ') }}"
    "{% call show('x') %}body{% endcall %}{% filter trim %} {{ range(ns.n)|sum }} {% endfilter %}";

const base::json::object& variables() {
    static const base::json::object all{{"messages",
                                         {{{"role", "system"}, {"content", "be brief"}},
                                          {{"role", "user"}, {"content", "größe\xF0\x9F\x98\x80"}},
                                          {{"role", "assistant"}, {"content", "ok\n"}}}},
                                        {"x", 7},
                                        {"m", {1, 2.5, nullptr, true}}};
    return all;
}

void parse_and_render(std::string_view source) {
    base::RenderOptions options;
    options.limits.memory_bytes_max = 4u << 20;
    options.limits.output_bytes_max = 1u << 20;
    options.limits.steps_max = 20'000;
    if (const auto parsed = base::Template::parse(source)) {
        const auto rendered = parsed->render(variables(), options);
        if (rendered) {
            EXPECT_LE(rendered->size(), options.limits.output_bytes_max);
        } else {
            EXPECT_FALSE(rendered.error().message.empty());
        }
    }
    if (const auto parsed = base::Expression::parse(source)) {
        static_cast<void>(parsed->evaluate(variables(), options).has_value());
    }
}

TEST(TemplateFuzz, TokenSoupEnds) {
    test::for_each_seed(4'000, [](base::Rng& rng) {
        std::string source;
        const std::uint64_t pieces = 1 + rng.below(60);
        for (std::uint64_t i = 0; i < pieces; ++i) {
            source.append(kPieces[rng.below(kPieces.size())]).append(rng.below(3) == 0 ? "" : " ");
        }
        parse_and_render(source);
        parse_and_render("{{ " + source + " }}");
    });
}

TEST(TemplateFuzz, MutatedTemplatesEnd) {
    test::for_each_seed(6'000, [](base::Rng& rng) {
        std::string source(kTemplate);
        const std::uint64_t edits = 1 + rng.below(4);
        for (std::uint64_t i = 0; i < edits && !source.empty(); ++i) {
            const std::size_t at = rng.below(source.size());
            switch (rng.below(4)) {
                case 0:
                    source[at] = static_cast<char>(rng.below(256));
                    break;
                case 1:
                    source.erase(at, 1 + rng.below(8));
                    break;
                case 2:
                    source.insert(at, kPieces[rng.below(kPieces.size())]);
                    break;
                default:
                    source.insert(at, source.substr(rng.below(source.size()), rng.below(40)));
            }
        }
        parse_and_render(source);
    });
}

}  // namespace
