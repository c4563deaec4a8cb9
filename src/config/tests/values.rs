//! Values that are checked where they stand.

use super::*;

#[test]
fn values_are_checked_where_they_stand() {
    insta::assert_snapshot!(
        told(
            r#"
[defaults.http]
every = "5"
expect.status = ["x"]
[journal]
keep = "1h"
redact = ["ok", "(["]
[ui]
theme = "drak"
zone = "Europe/Berln"
colors = "many"
[keys]
dwn = "j"
up = 5
[site.shop]
url = "shop.example"
zone = 5
[site.shop.http.home]
url = "shop"
expect.status = [200, 0]
needs = ["http/ap_", "http/home", "log/x"]
[site.shop.http.api]
url = "https://shop.example/"
every = "1ms"
needs = ["http/app"]
[site.shop.http.app]
url = "https://shop.example/"
needs = ["http/api"]
"#
        ),
        @r#"
error: "5" has no unit
 --> rounds.toml:3:9
  |
3 | every = "5"
  |         ^^^
  |
  = help: write a number and a unit, such as "500ms", "30s", "5m", "26h" or "14d"

error: expected a whole number that fits, found the text "x"
 --> rounds.toml:4:18
  |
4 | expect.status = ["x"]
  |                  ^^^

error: history is kept for a day at least
 --> rounds.toml:6:8
  |
6 | keep = "1h"
  |        ^^^^
  |
  = help: write `keep = "400d"`, which is the default

error: not a regular expression: unclosed character class
 --> rounds.toml:7:17
  |
7 | redact = ["ok", "(["]
  |                 ^^^^

error: "drak" is not possible here
 --> rounds.toml:9:9
  |
9 | theme = "drak"
  |         ^^^^^^
  |
  = help: did you mean `dark`?

error: "Europe/Berln" is no time zone
  --> rounds.toml:10:8
   |
10 | zone = "Europe/Berln"
   |        ^^^^^^^^^^^^^^
   |
   = help: did you mean "Europe/Berlin"?

error: "many" is not possible here
  --> rounds.toml:11:10
   |
11 | colors = "many"
   |          ^^^^^^
   |
   = help: possible are `auto`, `none`, `16`, `256` and `true`

error: unknown command `dwn`
  --> rounds.toml:13:1
   |
13 | dwn = "j"
   | ^^^
   |
   = help: did you mean `down`?

error: a key is a text in quotes
  --> rounds.toml:14:6
   |
14 | up = 5
   |      ^
   |
   = help: write a key such as "j", or a list of keys

error: not an address: relative URL without a base
  --> rounds.toml:16:7
   |
16 | url = "shop.example"
   |       ^^^^^^^^^^^^^^
   |
   = help: write it whole, such as "https://shop.example.com"

error: expected a time zone such as "Europe/Berlin" or "UTC", found integer `5`
  --> rounds.toml:17:8
   |
17 | zone = 5
   |        ^

error: not an address: relative URL without a base
  --> rounds.toml:19:7
   |
19 | url = "shop"
   |       ^^^^^^
   |
   = help: write it whole

error: no status is 0
  --> rounds.toml:20:23
   |
20 | expect.status = [200, 0]
   |                       ^

error: "http/ap_" is no source of the site `shop`
  --> rounds.toml:21:10
   |
21 | needs = ["http/ap_", "http/home", "log/x"]
   |          ^^^^^^^^^^
   |
   = help: did you mean "http/api"?

error: a source cannot need itself
  --> rounds.toml:21:22
   |
21 | needs = ["http/ap_", "http/home", "log/x"]
   |                      ^^^^^^^^^^^
   |
   = help: take one of them out

error: "log/x" is no source of the site `shop`
  --> rounds.toml:21:35
   |
21 | needs = ["http/ap_", "http/home", "log/x"]
   |                                   ^^^^^^^
   |
   = help: write kind/name of a source of the same site

error: `every` is too short: looking so often is itself a load
  --> rounds.toml:24:9
   |
24 | every = "1ms"
   |         ^^^^^
   |
   = help: write "100ms" or more

error: "http/app" needs this source in turn
  --> rounds.toml:25:10
   |
25 | needs = ["http/app"]
   |          ^^^^^^^^^^
   |
   = help: take one of them out

error: "http/api" needs this source in turn
  --> rounds.toml:28:10
   |
28 | needs = ["http/api"]
   |          ^^^^^^^^^^
   |
   = help: take one of them out
"#
    );
}
