"""Between positions on the earth, earth-centred and in a plane: WGS 84, and its UTM zones as global map frames."""

from __future__ import annotations

import numpy as np

from understudy.records import Floats

A = 6378137.0  # m, WGS 84's larger half axis
F = 1 / 298.257223563  # and its flattening
E2 = F * (2 - F)
SCALE = 0.9996  # of UTM along the central meridian; a zone's distances are true within 0.1 %


def ecef(latitude: Floats, longitude: Floats, height: Floats) -> Floats:
    """Earth-centred points (..., 3) of latitudes, longitudes (rad) and heights (...,)."""
    normal = A / np.sqrt(1 - E2 * np.sin(latitude) ** 2)
    across = (normal + height) * np.cos(latitude)
    along = (normal * (1 - E2) + height) * np.sin(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), along], axis=-1)


def geodetic(points: Floats) -> tuple[Floats, Floats, Floats]:
    """Latitude, longitude and height (...,) of points (..., 3); Bowring (1976), to nanoradians near the ground."""
    x, y, z = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
    r, b = np.hypot(x, y), A * (1 - F)
    beta = np.arctan2(z * A, r * b)
    latitude = np.arctan2(z + E2 / (1 - E2) * b * np.sin(beta) ** 3, r - E2 * A * np.cos(beta) ** 3)
    normal = A / np.sqrt(1 - E2 * np.sin(latitude) ** 2)
    height = r * np.cos(latitude) + z * np.sin(latitude) - A**2 / normal
    return latitude, np.arctan2(y, x), height


def enu_R_ecef(latitude: float, longitude: float) -> Floats:
    """The rotation (3, 3) of vectors from the earth-centred frame to east, north, up."""
    sin_lat, cos_lat, sin_lon, cos_lon = np.sin(latitude), np.cos(latitude), np.sin(longitude), np.cos(longitude)
    east = [-sin_lon, cos_lon, 0.0]
    north = [-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat]
    up = [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]
    return np.array([east, north, up])


def utm_zone(longitude: float) -> int:
    """1 to 60, six degrees each from the date line on; the exceptions about Norway are not made."""
    return int((np.degrees(longitude) + 180) // 6) % 60 + 1


def utm(latitude: Floats, longitude: Floats, zone: int) -> tuple[Floats, Floats, Floats]:
    """Easting, northing (negative in the south) and the angle from grid north to true north, counter-clockwise.

    Krueger's series to the third order in the third flattening, within a millimetre inside a zone.
    """
    n = F / (2 - F)
    radius = A / (1 + n) * (1 + n**2 / 4 + n**4 / 64)
    alpha = (n / 2 - 2 * n**2 / 3 + 5 * n**3 / 16, 13 * n**2 / 48 - 3 * n**3 / 5, 61 * n**3 / 240)
    away = longitude - np.radians(6 * zone - 183)
    e = 2 * np.sqrt(n) / (1 + n)
    conformal = np.sinh(np.arctanh(np.sin(latitude)) - e * np.arctanh(e * np.sin(latitude)))  # tan of that latitude
    xi = np.arctan2(conformal, np.cos(away))
    eta = np.arcsinh(np.sin(away) / np.hypot(conformal, np.cos(away)))
    orders = list(enumerate(alpha, start=1))
    east = eta + sum(a * np.cos(2 * j * xi) * np.sinh(2 * j * eta) for j, a in orders)
    north = xi + sum(a * np.sin(2 * j * xi) * np.cosh(2 * j * eta) for j, a in orders)
    convergence = np.arctan(np.tan(away) * np.sin(latitude))  # clockwise from true to grid north
    return 500_000 + SCALE * radius * east, SCALE * radius * north, convergence
