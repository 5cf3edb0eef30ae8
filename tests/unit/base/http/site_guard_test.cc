#include "base/http/site_guard.h"

#include <gtest/gtest.h>

namespace {

using namespace base::http;

const SitePolicy kLoopback{.check_host = true, .hosts = {}, .origins = {}};

Request request(std::string method, Headers headers) {
    Request out;
    out.method = std::move(method);
    out.headers = std::move(headers);
    return out;
}
bool host_passes(std::string host, std::vector<std::string> hosts = {}) {
    const SitePolicy policy{.check_host = true, .hosts = std::move(hosts), .origins = {}};
    return !refuse_foreign_site(request("GET", {{"Host", std::move(host)}}), policy);
}
/// A POST to 127.0.0.1:8080 with these headers.
bool post_passes(Headers headers, std::vector<std::string> origins = {}) {
    const SitePolicy policy{.check_host = true, .hosts = {}, .origins = std::move(origins)};
    headers.add("Host", "127.0.0.1:8080");
    return !refuse_foreign_site(request("POST", std::move(headers)), policy);
}

TEST(SiteGuard, AddressesAndLocalhostAreExpectedHosts) {
    for (const char* host :
         {"127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "[::1]", "192.168.0.7:80", "localhost:1",
          "LocalHost", "localhost.", "console.localhost:8080", "localhost.:8080"}) {
        EXPECT_TRUE(host_passes(host)) << host;
    }
}

TEST(SiteGuard, OtherNamesAreReboundUnlessListed) {
    for (const char* host :
         {"evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost",
          "0x7f.1", "[evil.example]:80", ":80", "[", "2130706433"}) {
        EXPECT_FALSE(host_passes(host)) << host;
    }
    EXPECT_TRUE(host_passes("Box.example:8080", {"box.example"}));
    EXPECT_FALSE(host_passes("other.example", {"box.example"}));
    EXPECT_TRUE(host_passes("other.example", {"*"}));
}

TEST(SiteGuard, NamesAreOnlyCheckedWhereAskedFor) {
    EXPECT_FALSE(refuse_foreign_site(request("GET", {{"Host", "box.example"}}), SitePolicy{}));
    EXPECT_FALSE(refuse_foreign_site(request("GET", {}), kLoopback));  // HTTP/1.0
}

TEST(SiteGuard, ProgramsAndTheConsoleMayPost) {
    EXPECT_TRUE(post_passes({}));
    EXPECT_TRUE(post_passes({{"Origin", "http://127.0.0.1:8080"}}));
    EXPECT_TRUE(post_passes({{"Sec-Fetch-Site", "none"}}));
    // Behind a proxy that rewrites Host, the browser still knows.
    EXPECT_TRUE(post_passes({{"Origin", "https://a.example"}, {"Sec-Fetch-Site", "same-origin"}}));
}

TEST(SiteGuard, PagesOfOtherSitesMayNotPostUnlessListed) {
    const Headers evil{{"Origin", "http://evil.example"}, {"Sec-Fetch-Site", "cross-site"}};
    EXPECT_FALSE(post_passes(evil));
    EXPECT_FALSE(post_passes({{"Origin", "http://evil.example"}}));  // an older browser
    EXPECT_FALSE(post_passes({{"Origin", "null"}}));
    EXPECT_FALSE(post_passes({{"Origin", "127.0.0.1:8080"}}));
    EXPECT_FALSE(post_passes({{"Sec-Fetch-Site", "cross-site"}}));
    EXPECT_FALSE(
        post_passes({{"Origin", "http://127.0.0.1:3000"}, {"Sec-Fetch-Site", "same-site"}}));
    EXPECT_TRUE(post_passes(evil, {"http://evil.example"}));
    EXPECT_TRUE(post_passes(evil, {"*"}));
    EXPECT_FALSE(post_passes(evil, {"http://good.example"}));
}

TEST(SiteGuard, ReadingIsLeftToTheBrowser) {
    for (const char* method : {"GET", "HEAD", "OPTIONS"}) {
        EXPECT_FALSE(refuse_foreign_site(
            request(method, {{"Host", "localhost"}, {"Origin", "http://evil.example"}}), kLoopback))
            << method;
    }
}

TEST(SiteGuard, KnowsLoopback) {
    EXPECT_TRUE(is_loopback("127.0.0.1") && is_loopback("127.1.2.3") && is_loopback("::1") &&
                is_loopback("localhost"));
    EXPECT_FALSE(is_loopback("0.0.0.0") || is_loopback("::") || is_loopback("10.0.0.1"));
}

}  // namespace
